"""Machines: sweeps as jobs of a running Ray cluster, and what is wrong with a machine or a cluster.

    head.py       where the cluster is, its token, versions that have to agree
    payload.py    what is sent with a job: this project's packages and the spec, nothing else
    jobs.py       Ray's Jobs API: submit, list, logs, stop, and requests answered through logs
    envelope.py   bytes through a job's log, with a checksum
    on_head.py    what runs on the cluster: packing a results folder, asking every node
    fetch.py      copies a results folder from the cluster to this machine
    facts.py      what one machine is like, as plain data
    doctor.py     judges facts: ok, warning or failure, with the remedy
    ports.py      ports that other machines can reach

Of our packages it imports only `backdoor.errors` and, for which files are code of a package,
`backdoor.settings.sent_package`. It knows commands and addresses.
"""
