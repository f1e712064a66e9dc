"""The web tool ``cryores web``: uploads, a queue of jobs, each a Scipion project, and one page that shows the results.

Nothing here imports Scipion: a job is run by ``python -m cryoresplugin.project_job`` in a process of its own.
"""
