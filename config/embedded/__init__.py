"""The embedded PostgreSQL and Valkey, and the supervisor that runs them with Viable's own processes.

Plain Python on purpose: nothing here imports Django, so that a broken setting cannot keep the engines from
being started, stopped or inspected. The programs come out of wheels; docs/adr/0002 says why they are not
started by the wheels' own wrappers or by a process manager.
"""
