"""What llama.cpp makes of a GGUF file. Reads one JSON object from the file that is named:

  model      path of the file
  lora       path of an adapter's file, or absent
  documents  lists of token ids
  texts      texts to be tokenized
  out        path for the logits

and prints one: `tokens`, a list for each text, and `vocabulary`. The logits are float32 [sum of tokens, vocabulary].
"""
import json
import sys

import numpy
from llama_cpp import GGML_TYPE_F32, Llama

with open(sys.argv[1]) as file:
    request = json.load(file)
llama = Llama(
    model_path=request["model"],
    lora_path=request.get("lora"),
    n_ctx=256,
    n_batch=256,
    logits_all=True,
    n_threads=1,
    type_k=GGML_TYPE_F32,
    type_v=GGML_TYPE_F32,
    verbose=False,
)
rows = []
for ids in request["documents"]:
    llama.reset()
    llama.eval(ids)
    rows.append(numpy.array(llama.scores[: len(ids)], dtype=numpy.float32))
numpy.concatenate(rows).tofile(request["out"])
tokens = [llama.tokenize(text.encode(), add_bos=False, special=False) for text in request["texts"]]
print(json.dumps({"tokens": tokens, "vocabulary": llama.n_vocab()}))
