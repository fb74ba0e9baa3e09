"""The server and client programs: Flower's processes, supervision, access control, systemd, health."""
