"""Learning: from verified proofs and texts to weights.

Without torch:
    transitions  rows of (state, tactic, value …) in Parquet: written whole, read checked
    collected    the rows of a verified proof
    extract      the rows of written proofs; imports: those of others' files
    refused      tactics that Lean refused on a proof's way: known, told, found true
    part         the rows of a goal that was closed though its theorem stayed open
    augment      the same proof under other names and in another order
    config       a chain of stages as YAML; identity: what of it decides the losses
    corpora      documents of .lean, .txt and .jsonl files
    samples      documents and transitions as token ids, with what is to be said
    packing      samples into rows, rows into an endless order of batches
    data         the three together: the data of a stage, split by theorem
    calibration  the value head's expectations beside the truth, and their plot
    checkpoints  folders of checkpoints: found, checked, finished, thinned out
    chain        the stages of a run in one folder
    processes    ranks as processes of this machine, watched
    launch       a chain by such ranks, told about

With torch:
    batches      rows as tensors; losses: what is minimised; reference: what DPO compares with
    optimiser    AdamW, the rate of each step, DeepSpeed's configuration
    ranks        the processes that train together; rank: one of them, `python -m`
    engine       DeepSpeed: begun, loaded, saved, its whole network taken out
    trainer      one stage, step by step; evaluation: measuring it
    record       lines of JSON and TensorBoard; speed: MFU
    estimate     what a training will cost

`docs/training.md` has the schema and the rules.
"""
