"""Machines: sweeps as jobs of a running Ray cluster, and what ails a machine or a cluster.

    address.py    where the cluster is, the token it wants, versions that have to agree
    parcel.py     what is sent along: this project's packages and the spec, nothing else
    jobs.py       Ray's Jobs API: submit, list, logs, stop, and questions answered through logs
    frame.py      bytes through a job's log, checksummed
    on_head.py    what runs over there: packing a results folder, asking every node
    fetch.py      a results folder from there to here
    facts.py      what one machine is like, as plain data
    doctor.py     facts, judged: ok, warning or failure, with the remedy
    ports.py      what listens beyond loopback

Of ours it imports `backdoor.errors` alone. It knows commands and addresses.
"""
