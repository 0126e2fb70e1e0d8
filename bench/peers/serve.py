"""Answers commands, one JSON object a line, in the order in which they come:

{"do":"packages"}                                   what can be imported, and what cannot
{"do":"load","model":NAME,"path":FOLDER}            a model and its tokenizer
{"do":"table","model":NAME,"path":FILE,"units":N}   2^N values of a game, raw float64
{"do":"predict","model":NAME,"texts":[...]}         probabilities, and how long it took
{"do":"explain","model":NAME,"method":METHOD,...}   values, and how long it took

A game's value at index i is that of the coalition whose units are the bits of i.
A command that fails is answered by {"error":TEXT}. What packages print goes to
stderr.
"""
import importlib
import json
import os
import random
import sys
import time

import bert

BATCH = 64  # rows of a forward, where the caller may choose

models = {}


class Model:
    """A classifier of texts as its packages see it: functions."""

    def __init__(self, path):
        import torch

        self.torch = torch
        self.rows = 0
        try:
            import transformers
        except ImportError:
            self.network, self.tokenizer = bert.Classifier(path), bert.Tokenizer(path)
            self.implementation = "plain PyTorch"
        else:
            transformers.logging.set_verbosity_error()
            self.network = transformers.AutoModelForSequenceClassification.from_pretrained(path)
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(path)
            self.implementation = "transformers " + transformers.__version__
        self.network.eval()

    def forward(self, rows):
        """Returns the probabilities of rows of ids, padded to the longest."""
        torch = self.torch
        self.rows += len(rows)
        width = max(map(len, rows))
        ids = torch.tensor([list(r) + [0] * (width - len(r)) for r in rows])
        mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])
        with torch.no_grad():
            return self.network(input_ids=ids, attention_mask=mask).logits.softmax(-1).numpy()

    def batched(self, rows):
        import numpy as np

        return np.concatenate([self.forward(rows[i:i + BATCH]) for i in range(0, len(rows), BATCH)])

    def predict(self, texts):
        """Returns the probabilities of texts, as lime and shap ask for them."""
        return self.batched([self.tokenizer(t)["input_ids"] for t in texts])

    def game(self, text, label):
        """Returns the function of masks of the words of a text, and their number."""
        import numpy as np

        ids = np.array(self.tokenizer(text)["input_ids"])

        def value(masks):
            rows = np.tile(ids, (len(masks), 1))
            rows[:, 1:-1][np.asarray(masks) == 0] = self.tokenizer.mask_token_id
            return self.batched(rows)[:, label].astype(float)

        return value, len(ids) - 2


class Table:
    """A game all of whose values are known."""

    def __init__(self, path, units):
        import numpy as np

        self.values, self.units, self.rows = np.fromfile(path, "<f8"), units, 0

    def game(self, text, label):
        import numpy as np

        def value(masks):
            self.rows += len(masks)
            return self.values[np.asarray(masks).astype(int) @ (1 << np.arange(self.units))]

        return value, self.units


def lime(model, text, label, samples, fill, seed):
    from lime.lime_text import LimeTextExplainer

    # bow deletes all occurrences of a word; without it, a string replaces one.
    explainer = LimeTextExplainer(bow=fill == "delete", mask_string="[MASK]", random_state=seed)
    words = len(text.split())
    e = explainer.explain_instance(text, model.predict, labels=(label,), num_features=words, num_samples=samples)
    values = dict(e.local_exp[label])
    return [values[i] for i in range(words)]


def partition(model, text, label, evaluations):
    import shap

    explainer = shap.PartitionExplainer(model.predict, shap.maskers.Text(model.tokenizer))
    e = explainer([text], max_evals=evaluations, silent=True)
    return e.values[0][1:-1, label].tolist()  # without [CLS] and [SEP]


def integrated_gradients(model, text, label, steps):
    from captum.attr import IntegratedGradients

    torch, network = model.torch, model.network
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    words = network.get_input_embeddings()(ids).detach()
    baseline = torch.zeros_like(words)
    baseline[:, [0, -1]] = words[:, [0, -1]]  # [CLS] and [SEP] stay

    def logits(embeddings):
        model.rows += len(embeddings)
        return network(inputs_embeds=embeddings).logits

    values = IntegratedGradients(logits).attribute(words, baseline, target=label, n_steps=steps)
    return values.sum(-1)[0, 1:-1].tolist()


def permutation(model, text, label, evaluations, seed):
    import numpy as np
    import shap

    value, units = model.game(text, label)
    explainer = shap.PermutationExplainer(value, np.zeros((1, units)), seed=seed)
    return explainer(np.ones((1, units)), max_evals=evaluations, silent=True).values[0].tolist()


def sampling(model, text, label, evaluations, seed):
    import numpy as np
    import shap

    value, units = model.game(text, label)
    np.random.seed(seed)
    explainer = shap.SamplingExplainer(value, np.zeros((1, units)))
    # A sample is a difference of two evaluations.
    return explainer.shap_values(np.ones((1, units)), nsamples=evaluations // 2, silent=True)[0].tolist()


def kernel(model, text, label, evaluations, seed):
    import numpy as np
    import shap

    value, units = model.game(text, label)
    np.random.seed(seed)
    explainer = shap.KernelExplainer(value, np.zeros((1, units)))
    # Of its own accord it would give no more than some units a value.
    return explainer.shap_values(np.ones((1, units)), nsamples=evaluations, l1_reg=False, silent=True)[0].tolist()


def orders(model, text, label, evaluations, seed):
    import torch
    from captum.attr import ShapleyValueSampling

    value, units = model.game(text, label)
    torch.manual_seed(seed)
    explainer = ShapleyValueSampling(lambda masks: torch.tensor(value(masks.numpy())))
    return explainer.attribute(torch.ones(1, units), n_samples=max(evaluations // units, 1),
                               perturbations_per_eval=min(units, BATCH))[0].tolist()


METHODS = {"lime": lime, "partition": partition, "integrated-gradients": integrated_gradients,
           "permutation": permutation, "sampling": sampling, "kernel": kernel, "orders": orders}


def packages():
    found = {}
    for name in ("torch", "numpy", "scipy", "sklearn", "lime", "shap", "captum", "transformers"):
        began = time.perf_counter()
        try:
            module = importlib.import_module({"lime": "lime.lime_text", "captum": "captum.attr"}.get(name, name))
        except Exception as e:  # a package may fail in any way
            found[name] = {"error": f"{type(e).__name__}: {e}"}
            continue
        top = sys.modules[name]
        version = getattr(top, "__version__", None)
        if version is None:
            from importlib import metadata

            try:
                version = metadata.version(name)
            except metadata.PackageNotFoundError:
                version = "of no stated version"
        found[name] = {"version": version, "folder": os.path.dirname(module.__file__ or ""),
                       "import_ms": 1e3 * (time.perf_counter() - began)}
    return found


def timed(model, run):
    rows, cpu, began = model.rows, time.process_time(), time.perf_counter()
    result = run()
    return result, {"ms": 1e3 * (time.perf_counter() - began), "processor_ms": 1e3 * (time.process_time() - cpu),
                    "evaluations": model.rows - rows}


def answer(command):
    do, name = command.pop("do"), command.pop("model", None)
    if do == "packages":
        return {"packages": packages()}
    if do == "load":
        began = time.perf_counter()
        models[name] = Model(command["path"])
        return {"implementation": models[name].implementation, "ms": 1e3 * (time.perf_counter() - began)}
    if do == "table":
        models[name] = Table(command["path"], command["units"])
        return {}
    model = models[name]
    if do == "predict":
        values, told = timed(model, lambda: model.predict(command["texts"]))
        return told | {"values": values.tolist()}
    if do == "explain":
        method = METHODS[command.pop("method")]
        random.seed(0)
        values, told = timed(model, lambda: method(model, **command))
        return told | {"values": values}
    raise ValueError(f"{do} is no command")


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except Exception as e:  # the other side says what failed
            told = {"error": f"{type(e).__name__}: {e}"}
        out.write(json.dumps(told) + "\n")
        out.flush()


main()
