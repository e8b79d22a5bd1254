# SPDX-License-Identifier: GPL-3.0-or-later
# What a node says about itself when a test on it has failed.
for log in /var/log/mail.log /var/log/peers.log; do
    [ ! -s $log ] || { echo "--- the last lines of $log"; tail -n 40 $log; }
done
echo "--- the last lines of the journal"
journalctl --no-pager --quiet --lines=40
echo "--- postconf -n"
postconf -n
echo "--- postqueue -p"
postqueue -p | tail -n 20
