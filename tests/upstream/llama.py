"""llama.cpp's server over one model, until its standard input ends: MODEL PORT CONTEXT (chat | embeddings)."""

import sys

import xllamacpp

model, port, context, kind = sys.argv[1:5]
params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames = ["127.0.0.1"]
params.port = int(port)
params.api_keys = ["sk-llama-0123456789"]
params.n_parallel = 2
# For each of the two.
params.n_ctx = 2 * int(context)
params.n_gpu_layers = 0
# Two cores are shared with everything else: threads that wait for each other take longer than one.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.warmup = False
params.ui = False
if kind == "embeddings":
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(params)
print("listening", flush=True)
sys.stdin.read()
