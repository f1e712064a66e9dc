"""The web tool ``cryores web``: uploads, a queue of jobs, each a Scipion project, and one page that shows the results.

A request passes the guard of ``security.py``, is answered by a file of ``routes/``, and works on the ``Service``: the
jobs in ``store.py`` and what runs them in ``queue.py``. Nothing here imports Scipion: a job is run by
``python -m cryoresplugin.project_job`` in a process of its own.
"""
