"""LoRA training on a CPU by PyTorch, transformers and PEFT: the peer of `anneal bench train`, which starts it.

Loads the base folder, puts adapters on all linear layers of the blocks and trains them with AdamW on random tokens.
Steps after the first two are measured; progress goes to standard error. The last line of standard output is one JSON
object: version, tokens_per_second (of the median step), slowest, fastest, steps, gemm_gflops (the best 2048^3 product
of this process, before and after), peak_bytes, start_seconds (from the first line of this script until the first step
begins, imports and loading included, the products left out) and first_step_seconds (until that step has ended).
"""
import time

BEGIN = time.perf_counter()

import argparse
import json
import os
import resource
import statistics
import sys

# Settings of the program that started this one, or of the machine, that slow PyTorch down. Read when torch is loaded.
for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import peft
import torch
import transformers

WARM_UP_STEPS = 2
FEWEST_STEPS = 5
BATCHES = 12
PRODUCT_SIZE = 2048
PRODUCT_SECONDS = 0.5


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--sequence", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


def dtype_named(name):
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if name not in types:
        sys.exit(f"a base in {name} is not trained on a CPU here; ask for fp32 or bf16")
    return types[name]


def product_rate(dtype):
    """GFLOP/s of the median large product."""
    left = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE).to(dtype)
    right = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE).to(dtype)
    torch.mm(left, right)
    seconds, begin = [], time.perf_counter()
    while len(seconds) < 3 or time.perf_counter() - begin < PRODUCT_SECONDS:
        start = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * PRODUCT_SIZE**3 / statistics.median(seconds) / 1e9


def load_model(arguments, dtype):
    base = transformers.AutoModelForCausalLM.from_pretrained(
        arguments.base, dtype=dtype, attn_implementation="sdpa"
    )
    settings = peft.LoraConfig(
        r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(base, settings)
    model.train()
    return model


def is_enough(seconds, arguments):
    if arguments.steps > 0:
        return len(seconds) >= arguments.steps
    return len(seconds) >= FEWEST_STEPS and sum(seconds) >= arguments.seconds


def main():
    arguments = read_arguments()
    dtype = dtype_named(arguments.dtype)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    imported = time.perf_counter()
    rate_before = product_rate(dtype)
    loading = time.perf_counter()
    model = load_model(arguments, dtype)
    vocabulary = model.config.vocab_size
    compute = torch.compile(model) if arguments.compile else model
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
    batches = torch.randint(0, vocabulary, (BATCHES, arguments.batch, arguments.sequence))
    start_seconds = imported - BEGIN + time.perf_counter() - loading
    seconds, step, first_step_seconds = [], 0, 0.0
    while not is_enough(seconds, arguments):
        begin = time.perf_counter()
        ids = batches[step % BATCHES]
        loss = compute(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        taken = time.perf_counter() - begin
        if step == 0:
            first_step_seconds = start_seconds + taken
        if step >= WARM_UP_STEPS:
            seconds.append(taken)
        step += 1
        print(f"step {step}: {taken:.2f} s, loss {loss.item():.3f}", file=sys.stderr, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tokens = arguments.batch * arguments.sequence
    answer = {
        "version": f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}",
        "tokens_per_second": tokens / statistics.median(seconds),
        "slowest": tokens / max(seconds),
        "fastest": tokens / min(seconds),
        "steps": len(seconds),
        "gemm_gflops": max(rate_before, product_rate(dtype)),
        "peak_bytes": peak,
        "start_seconds": start_seconds,
        "first_step_seconds": first_step_seconds,
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
