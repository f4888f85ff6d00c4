"""Networks as policies: a state goes in, sampled tactics and a value come out. Knows no search.

Without torch:
    format    a prompt format, one YAML file a family (configs/prompts), as token ids
    cut       the proof in what a whole-proof model has written
    network   one search's policy (`leanfleet.policy.Policy`) over whoever answers its requests
    mixed     the network and the menu together
    exploring a share of any policy's tactics composed at random, while games are collected
    balance   one client of several ranks: least outstanding, and others when one is lost
    server    requests from bytes, replies to bytes, limits

With torch:
    weights   a folder of weights as something that answers; newer weights found beside it
    thread    the engine in a thread of its own, many coroutines asking it
    service   a request of `messages/` answered: prompt, samples, texts merged

Whoever answers is `Ask`: a coroutine from a message to a message. `docs/policy.md` has the rules.
"""
