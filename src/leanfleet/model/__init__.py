"""The policy and value network: tokenizer, transformer, weights on disk. Knows no Lean and no search.

Without torch:
    config          the shape of a network as a section of YAML
    count           how many parameters and operations a shape has
    symbols         the symbols of Lean that the tokenizer keeps whole
    tokenizer       text ⇄ token ids; special tokens never come from text
    tokenizer_file  tokenizer.json and GPT-2's vocab.json + merges.txt, read and checked
    tokenizer_train byte-level BPE from corpora; corpora reads them
    prompt          a proof state as token ids, and what happens when it is too long
    hf_config       config.json of the Llama, Qwen2 and Qwen3 families, both ways
    folder          files of a weights folder: bounded reads, atomic writes, manifest

With torch:
    rope, attention, block, network   the transformer; value: the categorical value head
    cache           keys and values of running sequences, by slot
    engine/         many requests at once: samples share a prompt, batches never wait
    initialise      seeded weights
    tensors         safetensors files and sharded folders, read with every name and shape checked
    checkpoint      our own folder: config.json, model.safetensors, tokenizer.json, manifest.json
    hf_load, hf_export   folders of the three families, in and out; hf_names: their tensors' names
    onnx_graph, onnx_folder      the network as an ONNX graph, and the dated folder it lies in
    onnx_network, onnx_parity    that graph in onnxruntime, and how far it is from the network
    onnx_engine                  the same requests as engine/ answered by that graph

`docs/model.md` has the shapes, the rules and the formats.
"""
