#!/bin/bash
# The installation by README, and a case from its deposit to its end, under the unit.
set -euo pipefail
cd /source
. ./steps.sh

# As README says.
install -m 0755 casebridge /usr/local/bin/casebridge
install -D -m 0644 systemd/sysusers.d/casebridge.conf /etc/sysusers.d/casebridge.conf
install -D -m 0644 systemd/tmpfiles.d/casebridge.conf /etc/tmpfiles.d/casebridge.conf
systemd-sysusers casebridge.conf
systemd-tmpfiles --create casebridge.conf
install -d -m 0750 -g casebridge /etc/casebridge
install -m 0600 /dev/null /etc/casebridge/upstream-password
echo 'correct horse battery' > /etc/casebridge/upstream-password
install -m 0644 systemd/casebridge.service /etc/systemd/system/casebridge.service
systemctl daemon-reload
ok "the installation is as README says"

useradd --system --no-create-home --groups casebridge ann
systemctl start systemd-journald.service
certificates partner 127.0.0.2
certificates north 127.0.0.1
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
python3 names.py &
partner &
north_is > /etc/casebridge/config.toml
chgrp casebridge /etc/casebridge/*
chmod 0640 /etc/casebridge/*
chmod 0600 /etc/casebridge/upstream-password
if as_ann cat /etc/casebridge/upstream-password > /dev/null 2>&1; then fail "who gives commands reads the password"; fi

export CREDENTIALS_DIRECTORY=/etc/casebridge
casebridge check-config > /dev/null
until_true casebridge test-peer
ok "root checks the configuration and tries the connection"
systemctl start casebridge.service
ok "it starts, and tells systemd when it is ready"
until_seen peer_up
ok "the upstream is found by its name and spoken to over TLS"

pid=$(systemctl show -p MainPID --value casebridge.service)
user=$(stat -c %u "/proc/$pid")
[ "$user" -ge 61184 ] && [ "$user" -le 65519 ]
grep -q '^CapBnd:\s*0*$' "/proc/$pid/status"
grep -q '^NoNewPrivs:\s*1$' "/proc/$pid/status"
grep -q '^Seccomp:\s*2$' "/proc/$pid/status"
ok "it runs as a dynamic user ($user), without any privilege, behind a filter of system calls"
seen=$(ls "/proc/$pid/root" | tr '\n' ' ')
[ ! -e "/proc/$pid/root/source" ] && [ -z "$(ls -A "/proc/$pid/root/root" 2>/dev/null)" ]
ok "of the file system it sees: $seen"

as_ann cp event.xml /var/spool/casebridge/inbox/.event && as_ann mv /var/spool/casebridge/inbox/{.event,event.xml}
until_seen incident_deposited
as_ann ls /var/spool/casebridge/inbox/done | grep -q event.xml
ok "a member of the group deposits a bundle, and finds it among what is done"
echo '<jmb/>' > /srv/wrong.xml && as_ann cp /srv/wrong.xml /var/spool/casebridge/inbox/
until_seen deposit_quarantined
as_ann cat /var/spool/casebridge/inbox/quarantine/wrong.xml.reason > /dev/null
ok "... and the reason beside what is refused"
as_ann casebridge submit 1 > /dev/null
until_true at_partner show 1
at_partner accept 1 > /dev/null
until_true case_is_known
ok "a member of the group submits it, and the case comes back"
curl_north | grep -q '"client":"south"'
ok "a client is let in over TLS"
if runuser -u nobody -- casebridge status > /dev/null 2>&1; then fail "a stranger may give commands"; fi
ok "a stranger may not give commands"

sed -i 's/^level = .*/level = "debug"/; s/south-user/south-other/' /etc/casebridge/config.toml
systemctl reload casebridge.service
until_seen reloaded
ok "a reload is taken"

before=$(systemctl show -p NRestarts --value casebridge.service)
kill -9 "$pid"
until_true restarted
until_true case_is_known
ok "killed, it is started again, and knows the case"

systemctl stop casebridge.service
[ "$(systemctl show -p Result --value casebridge.service)" = success ]
until_seen stopped
[ ! -e /run/casebridge ] && [ -e /var/lib/private/casebridge/incidents.db ]
ok "stopped, it leaves its store and nothing in /run"
casebridge state rebuild > /dev/null
systemctl start casebridge.service
until_true case_is_known
systemctl stop casebridge.service
ok "root has the state rebuilt, and it goes on"

sed -i 's/^#u /u /' /etc/sysusers.d/casebridge.conf && systemd-sysusers casebridge.conf
install -D -m 0644 systemd/casebridge.service.d/shared.conf.example /etc/systemd/system/casebridge.service.d/shared.conf
systemctl daemon-reload
systemctl start casebridge.service
until_true case_is_known
[ "$(stat -c %U "/proc/$(systemctl show -p MainPID --value casebridge.service)")" = casebridge ]
[ "$(stat -c %U /var/lib/casebridge/incidents.db)" = casebridge ]
systemctl stop casebridge.service
ok "with shared.conf it runs as the user casebridge, and the store has moved along"

denied=$(journalctl -b --no-pager -o cat | grep -c 'Operation not permitted\|Permission denied' || true)
[ "$denied" = 0 ] || fail "something was refused to it $denied times"
ok "nothing that it needed was refused to it"
