# What the story is told with. To be sourced.

ok() { echo "ok  sandbox: $*"; }

fail() {
    echo "failed: $*" >&2
    exit 1
}

tell_all() {
    local code=$?
    [ $code = 0 ] && return
    set +e
    echo "failed in line ${BASH_LINENO[0]}: $BASH_COMMAND"
    systemctl status --no-pager --full casebridge.service
    journalctl -b --no-pager -o cat -n 60
    cat /srv/partner.log
} >&2
trap tell_all EXIT

until_true() {
    for _ in {1..300}; do
        "$@" > /dev/null 2>&1 && return
        sleep 0.1
    done
    fail "waited in vain for: $*"
}

until_seen() { until_true logged "$1"; }
logged() { journalctl -b --no-pager -o cat "F_EVENT=$1" | grep -q .; }

as_ann() { runuser -u ann -- "$@"; }
at_partner() { casebridge --config /srv/partner/config.toml "$@"; }
case_is_known() { as_ann casebridge show 1 | grep -q CASE-1; }
restarted() { [ "$(systemctl show -p NRestarts --value casebridge.service)" -gt "$before" ] && systemctl is-active -q casebridge.service; }
curl_north() {
    curl -sS --cacert /srv/ca.pem -u 'south-user:correct horse battery' https://127.0.0.1:8444/v1/site
}

# An authority, and a certificate by it for NAME.example and an address.
certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    [ -e /srv/ca.pem ] || openssl req -x509 "${key[@]}" -keyout /srv/ca.key -out /srv/ca.pem -days 1 -subj /CN=authority 2> /dev/null
    openssl req "${key[@]}" -keyout "/srv/$1.key" -out "/srv/$1.csr" -subj "/CN=$1.example" 2> /dev/null
    openssl x509 -req -in "/srv/$1.csr" -CA /srv/ca.pem -CAkey /srv/ca.key -CAcreateserial -days 1 -out "/srv/$1.pem" \
        -extfile <(echo "subjectAltName=DNS:$1.example,IP:$2") 2> /dev/null
}

# The site above, outside of any unit.
partner() {
    mkdir -p /srv/partner
    (umask 077 && echo 'correct horse battery' > /srv/partner/password)
    chmod 0600 /srv/partner.key
    cat > /srv/partner/config.toml <<'END'
[site]
alias = "partner"
data_dir = "/srv/partner"
[listen]
address = "127.0.0.2:8443"
[listen.tls]
certificate = "/srv/partner.pem"
key = "/srv/partner.key"
[[client]]
alias = "north"
user = "north"
password_file = "password"
[case]
link_template = "https://desk.example/cases/{case}"
END
    exec casebridge run --config /srv/partner/config.toml > /srv/partner.log 2>&1
}

# The site under the unit: it submits, and lets a client in.
north_is() {
    cp /srv/ca.pem /srv/north.pem /srv/north.key /etc/casebridge/
    cp /etc/casebridge/upstream-password /etc/casebridge/south-password
    cat <<'END'
[site]
alias = "north"
socket = "/run/casebridge/casebridge.sock"
[log]
format = "journald"
level = "info"
[[inbox]]
dir = "/var/spool/casebridge/inbox"
[upstream]
alias = "partner"
url = "https://partner.example:8443"
user = "north"
password_file = "credential:upstream-password"
ca_file = "ca.pem"
[listen]
address = "127.0.0.1:8444"
[listen.tls]
certificate = "north.pem"
key = "north.key"
[[client]]
alias = "south"
user = "south-user"
password_file = "south-password"
[case]
link_template = "https://desk.example/cases/{case}"
END
}
