# For tests/run and .ci/run: what they need, and how it comes onto a Debian machine. To be sourced.

say() { printf '\n== %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need COMMAND=PACKAGE...: installs the packages whose command is missing. `cc` comes with two: the compiler and the headers.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "these are missing (named as in Debian): ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "these packages are missing: ${missing[*]}; as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # Unquoted: an entry may name two packages.
    # shellcheck disable=SC2068
    apt-get install -qq -y --no-install-recommends ${missing[@]}
}
