"""An evaluation to trust: many attempts at many theorems, and what may be said of them.

benchmarks.py  published layouts → theorems; answers.py fills answer placeholders
content.py     which theorems exactly: the content hash
registry.py    what is known of public benchmarks: versions, faults (registry.toml)
settings.py    what decides the results; the manifest of a folder
results.py     rows on disk, append-only, whole after a kill
policies.py    the policy of each attempt, and its noise
runner.py      the attempts that a folder lacks, many at once
passk.py       pass@k, intervals
summary.py     what may be said of the rows
compare.py     two evaluations of the same theorems
report.py      report.html (report.html.j2), plot.py its curves, numbers.py its numbers
session.py     all of it, from a benchmark to its report
"""
