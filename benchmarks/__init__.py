"""Time, memory and accuracy of the methods: ``python -m benchmarks [SIZE ...] [NAME ...]``.

Every method is measured in one row, as ``cases.py`` says; where more than one way is of interest, a file
``bench_NAME.py`` has ``measure(size)``, which returns the rows. A row has method (its name first), size, seconds,
rffts (the same in units of one float32 real FFT of scipy of that size with one worker, timed in the same run), both
also in processor time, and volumes (peak memory above the inputs, in float32 volumes) and planned_volumes (what was
planned).
"""
