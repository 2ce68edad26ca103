"""Tiny random models with their logits, losses, gradients and greedy tokens, and ten steps of training adapters."""

import contextlib
import json
import math

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

LENGTHS = [23, 9, 40, 2]  # tokens of the documents of a batch
STEPS = 10
VOCABULARY = 256
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA3_ROTARY = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                 "original_max_position_embeddings": 32}
# The switches of config.json in the older style; the newer file is what transformers makes of them.
CASES = {
    "exaone4_own": {"model_type": "exaone4", "architectures": ["Exaone4ForCausalLM"], "sliding_window": None,
                    "sliding_window_pattern": None, "layer_types": ["full_attention"] * 2, "rope_theta": 1000000.0,
                    "rope_scaling": LLAMA3_ROTARY, "tie_word_embeddings": False},
    # Of width 64, whose root is exact in bfloat16: transformers rounds the scale of embeddings to the type it computes in,
    # we to the type in which the weights are stored and were trained.
    "gemma3_own": {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "hidden_size": 64,
                   "head_dim": 12, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 10,
                   "sliding_window": 7,
                   "layer_types": ["sliding_attention", "full_attention"], "rope_theta": 1000000.0,
                   "rope_local_base_freq": 10000.0, "tie_word_embeddings": True},
    "qwen2_own": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False,
                  "rope_theta": 1000000.0, "tie_word_embeddings": True},
}
ADAPTERS = {
    "dora": {"r": 4, "lora_alpha": 8, "use_dora": True, "target_modules": ["q_proj", "o_proj", "up_proj"]},
    "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
                                                         "down_proj"]},
    "patterns": {"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": ["q_proj", "v_proj"],
                 "rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {"v_proj": 5}},
}
PATTERNS_ONLY_ON = "qwen2_own"


@contextlib.contextmanager
def everything_in_float64():
    """Norms, softmax and rotary tables ask for float32 by name; here they get float64."""
    kept = torch.float32, torch.float, torch.Tensor.float
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept


def precision(name):
    return everything_in_float64() if name == "float64" else contextlib.nullcontext()


def dtype_of(name):
    return {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def write_json(path, document):
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def save(path, tensors):
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in sorted(tensors.items())}, str(path),
              metadata={"format": "pt"})  # as PEFT and transformers write theirs


def random_model(switches, generator):
    config = AutoConfig.for_model(**{**SIZES, **switches})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.dim() == 2:
                size = 0.8 if "embed" in name or "lm_head" in name else 1.0 / math.sqrt(weight.shape[1])
                weight.copy_(torch.randn(weight.shape, generator=generator) * size)
            else:
                offset = 0.0 if name.endswith("bias") or "gemma" in switches["model_type"] else 1.0
                weight.copy_(offset + 0.2 * torch.randn(weight.shape, generator=generator))
            weight.copy_(weight.to(torch.bfloat16).to(torch.float32))
    model.tie_weights()
    return model


def write_model(folder, switches, generator):
    model = random_model(switches, generator)
    model.to(torch.bfloat16).save_pretrained(folder)
    for other in folder.glob("generation_config.json"):
        other.unlink()
    older = {**SIZES, **switches, "torch_dtype": "bfloat16"}
    write_json(folder / "config.v4.json", dict(sorted(older.items())))


def load(folder, name):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype_of(name), attn_implementation="eager")


def random_batches(generator):
    batches = []
    for _ in range(STEPS):
        batch = []
        for length in LENGTHS:
            ids = torch.randint(3, VOCABULARY, (length,), generator=generator, dtype=torch.int32)
            supervised = (torch.rand(length, generator=generator) < 0.55).to(torch.uint8)
            supervised[0] = 0
            supervised[-1] = 1
            batch.append((ids, supervised))
        batches.append(batch)
    return batches


def logits_of(model, ids):
    return model(input_ids=ids.long()[None]).logits[0]


def loss_of(model, batch):
    total, count = 0.0, 0
    for ids, supervised in batch:
        logits = logits_of(model, ids)
        targets = torch.where(supervised.bool(), ids.long(), -100)[1:]
        total = total + torch.nn.functional.cross_entropy(logits[:-1].to(torch.float32), targets, ignore_index=-100,
                                                          reduction="sum")
        count += int(supervised.sum())
    return total / count, count


@torch.no_grad()
def batch_logits(model, batch):
    return torch.cat([logits_of(model, ids) for ids, _ in batch])


@torch.no_grad()
def greedy(model, prompt, count):
    ids, gap = prompt.long(), math.inf
    for _ in range(count):
        best = logits_of(model, ids)[-1].topk(2)
        gap = min(gap, float(best.values[0] - best.values[1]))
        ids = torch.cat([ids, best.indices[:1]])
    return ids[len(prompt):].int(), gap


def error(got, wanted):
    return float((got.double() - wanted.double()).abs().max() / wanted.double().abs().max())


def bare_run(folder, batches, prompt, name):
    """Everything of a bare model in one precision."""
    with precision(name):
        model = load(folder, name).train()
        loss, _ = loss_of(model, batches[0])
        loss.backward()
        gradients = {parameter: weight.grad for parameter, weight in model.named_parameters()}
        model.eval()
        with torch.no_grad():
            states = model(input_ids=batches[0][0][0].long()[None], output_hidden_states=True).hidden_states
        tokens, gap = greedy(model, prompt, 24)
        return {"logits": batch_logits(model, batches[0]), "loss": float(loss.detach()), "gradients": gradients,
                "tokens": tokens, "states": torch.stack([state[0] for state in states]), "gap": gap}


def start_adapter(folder, settings, generator, out):
    """A fresh adapter whose B is random too, so that every gradient is alive; as PEFT saves it."""
    torch.manual_seed(int(torch.randint(1 << 30, (1,), generator=generator)))
    model = get_peft_model(load(folder, "float32"), LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if "lora_B" in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    config = json.loads((out / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = None
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    write_json(out / "adapter_config.json", dict(sorted(config.items())))


def rate_of(step):
    return 5e-3 * (step / 3 if step <= 3 else 0.5 * (1 + math.cos(math.pi * (step - 4) / 7)))


def train(folder, adapter, batches, name):
    """Ten steps from the folder's tensors."""
    with precision(name):
        base = load(folder, name)
    model = PeftModel.from_pretrained(base, adapter, is_trainable=True).train()
    if name == "float64":
        model.double()
    with precision(name):
        return ten_steps(model, batches)


def ten_steps(model, batches):
    trained = {key.replace(".default", ""): weight for key, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    steps, first = [], None
    for number, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss, count = loss_of(model, batch)
        loss.backward()
        if first is None:
            first = {key: weight.grad.clone() for key, weight in trained.items()}
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate_of(number)
        optimizer.step()
        steps.append({"step": number, "lr": rate_of(number), "loss": float(loss.detach()), "gradient_norm": float(norm),
                      "supervised_tokens": count})
    model.eval()
    logits = batch_logits(model, batches[0])
    weights = {key: weight.detach().clone() for key, weight in trained.items()}
    merged = batch_logits(model.merge_and_unload(), batches[0])
    return {"steps": steps, "gradients": first, "weights": weights, "logits": logits, "merged": merged}


def file_name(parameter):
    return parameter.removesuffix(".weight") if "magnitude" in parameter else parameter


def write_adapter(model_folder, out, settings, batches, generator):
    out.mkdir(parents=True)
    start_adapter(model_folder, settings, generator, out)
    exact = train(model_folder, out, batches, "float64")
    peers = {}
    for name in ("float32", "bfloat16"):
        got = train(model_folder, out, batches, name)
        peers[name] = {
            "losses": max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(got["steps"], exact["steps"])),
            "gradients": max(error(got["gradients"][key], exact["gradients"][key]) for key in exact["gradients"]),
            "logits": error(got["logits"], exact["logits"]),
            "weights": max(error(got["weights"][key], exact["weights"][key]) for key in exact["weights"]),
        }
    (out / "adapter_model.safetensors").rename(out / "initial.safetensors")
    save(out / "adapter_model.safetensors", {file_name(key): value.float() for key, value in exact["weights"].items()})
    save(out / "expected.safetensors",
         {"logits": exact["logits"].float(),
          **{"gradient." + key: value.float() for key, value in exact["gradients"].items()}})
    write_json(out / "trace.json", {
        "optimizer": {"name": "AdamW", "lr": 5e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01,
                      "max_gradient_norm": 1.0, "lr_of_B_times": None},
        "steps": exact["steps"],
        "peer_error": peers,
        "merged_equals_adapter": error(exact["merged"], exact["logits"]),
    })
    return peers


def write_case(folder, switches, number):
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(1000 + number)
    write_model(folder, switches, generator)
    batches = random_batches(generator)
    prompt = torch.randint(3, VOCABULARY, (12,), generator=generator, dtype=torch.int32)
    exact = bare_run(folder, batches, prompt, "float64")
    peers = {}
    for name in ("float32", "bfloat16"):
        got = bare_run(folder, batches, prompt, name)
        peers[name] = {"logits": error(got["logits"], exact["logits"]), "loss": abs(got["loss"] / exact["loss"] - 1)}
    tensors = {"logits": exact["logits"].float(), "hidden_states": exact["states"].float(), "greedy.prompt": prompt,
               "greedy.tokens": exact["tokens"]}
    for b, batch in enumerate(batches):
        for d, (ids, supervised) in enumerate(batch):
            tensors[f"batch.{b}.document.{d}.ids"] = ids
            tensors[f"batch.{b}.document.{d}.supervised"] = supervised
    save(folder / "expected.safetensors", tensors)
    save(folder / "gradients.safetensors", {key: value.float() for key, value in exact["gradients"].items()})
    adapters = {}
    for kind, settings in ADAPTERS.items():
        if kind == "patterns" and folder.name != PATTERNS_ONLY_ON:
            continue
        adapters[kind] = write_adapter(folder, folder / "adapters" / kind, settings, batches, generator)
    write_json(folder / "case.json", {"case": folder.name, "family": switches["model_type"], "loss": exact["loss"],
                                      "greedy_smallest_gap": exact["gap"], "peer_error": peers, "adapters": adapters})


def write_models(folder):
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    for number, (name, switches) in enumerate(CASES.items()):
        write_case(folder / name, switches, number)
