"""Re-tagging the past: jobs that are planned, looked at, and run.

`spec.py` says what is asked for, `sources.py` lists the calls, `judge.py` says what each needs, `walk.py`
goes through the pages, `carry.py` changes the calls, `undo.py` takes back what another job did, `drive.py`
does one piece of a job after another, and `orders.py` is what people ask for.
"""
