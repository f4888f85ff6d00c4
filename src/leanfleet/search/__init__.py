"""Search over proof states. Pure: no sockets, Lean, torch, logging or clock.

config.py    what a search can be told: the constants, in the profiles `paper` and `small`
formulas.py  the formulas, one function each, with their sources
answers.py   what a search asks of its driver and what it is told
search.py    one attempt: simulate, expand, backward; several in flight, applied in order
graph.py     OR nodes, AND nodes, edges with statistics
select.py    simulate: the walk from the root to the state to expand
expand.py    expand: tactics made fit to run, Lean's answers merged into edges
backup.py    backward: values along the path
status.py    open, proved, dead: spread to all parents
extract.py   the shortest proof in the graph
proof.py     a found proof as a tree, and as the tactic script that a person can paste
compose.py   Lean's list of goals while a script is written, and how to reorder it
part.py      goals that a search closed though its theorem stayed open
replay.py    a proof through Lean again, tactic by tactic
minimise.py  dropping tactics that a proof does not need
negate.py    the statement of a disproof
menu.py      a policy without a network, filled from one table:
             menu_table.py the templates; menu_slots.py what a row repeats over; menu_view.py
             features of a state; menu_names.py fresh names, patterns; menu_arithmetic.py,
             menu_ranges.py, menu_polynomial.py terms with numbers in them;
             menu_counterexamples.py what refutes a universal statement
grammar.py   tactics composed at random from a state's names: what nobody proposes
shape.py     printed terms, split at their outermost connectives
"""
