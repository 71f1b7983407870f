# A Debian host with systemd and sshd, as a fleet has them.
ARG BASE
FROM ${BASE}
COPY provision.sh /tmp/provision.sh
RUN sh /tmp/provision.sh
# systemd shuts down in order on this signal only.
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
