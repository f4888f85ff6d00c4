"""Generation: many requests, each a prompt and K samples, on one network at a time. No sockets.

    request    what is asked and answered: plain values
    limits     what an engine may use, and which requests it takes
    sampling   one random stream per sample; temperature, top-p, first tokens without replacement
    prefill    a prompt's keys, values, first logits and value, computed once; the prefix cache
    score      how likely given sequences are after a prompt
    lanes      memory of running samples, and their attention: a prompt is shared by its samples
    decode     the network's forward pass over rows of tokens, in few operations
    products   the matrix products in it: torch's, or packed for the processor
    cohort     the groups that run on one set of weights: admit, step, leave
    engine     the queue: continuous batching, weights swapped between steps
    reference  the same by the plainest means, for tests

A request's answer depends on the request and the weights alone, not on the batch it ran in: every
sample has a random stream of its own, and batches have shapes whose rows are computed alike
(`prefill.ROWS`). In float32 on the CPU that has held to the last bit in every test.
"""
