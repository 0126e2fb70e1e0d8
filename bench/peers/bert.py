"""A BERT that classifies texts in plain PyTorch, operation by operation what
transformers computes without fused attention, and a WordPiece tokenizer of
plain texts. They stand in where transformers cannot be imported."""
import json
import math
import os
import re
import types

import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        hidden, wide, eps = sizes["hidden_size"], sizes["intermediate_size"], sizes["layer_norm_eps"]
        self.heads = sizes["num_attention_heads"]
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.mixed, self.mixed_norm = nn.Linear(hidden, hidden), nn.LayerNorm(hidden, eps)
        self.up, self.down, self.norm = nn.Linear(hidden, wide), nn.Linear(wide, hidden), nn.LayerNorm(hidden, eps)

    def forward(self, x, bias):
        def split(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape)
        x = self.mixed_norm(x + self.mixed(mixed))
        return self.norm(x + self.down(nn.functional.gelu(self.up(x))))


# The names of a layer's parts in a checkpoint.
PARTS = {"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
         "mixed": "attention.output.dense", "mixed_norm": "attention.output.LayerNorm",
         "up": "intermediate.dense", "down": "output.dense", "norm": "output.LayerNorm"}


class Classifier(nn.Module):
    """A checkpoint folder's model. Called as those of transformers are."""

    def __init__(self, path):
        super().__init__()
        with open(os.path.join(path, "config.json"), encoding="utf-8") as f:
            sizes = json.load(f)
        weights = tensors(os.path.join(path, "model.safetensors"))
        hidden = sizes["hidden_size"]
        self.words = nn.Embedding(sizes["vocab_size"], hidden)
        self.positions = nn.Embedding(sizes["max_position_embeddings"], hidden)
        self.types = nn.Embedding(sizes["type_vocab_size"], hidden)
        self.norm = nn.LayerNorm(hidden, sizes["layer_norm_eps"])
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes["num_hidden_layers"]))
        self.pooler, self.classifier = nn.Linear(hidden, hidden), nn.Linear(hidden, len(sizes["id2label"]))
        names = {"words": "bert.embeddings.word_embeddings", "positions": "bert.embeddings.position_embeddings",
                 "types": "bert.embeddings.token_type_embeddings", "norm": "bert.embeddings.LayerNorm",
                 "pooler": "bert.pooler.dense", "classifier": "classifier"}
        for i in range(len(self.layers)):
            names |= {f"layers.{i}.{ours}": f"bert.encoder.layer.{i}.{theirs}" for ours, theirs in PARTS.items()}

        def stored(ours):
            module, kind = ours.rsplit(".", 1)
            return weights[names[module] + "." + kind]

        self.load_state_dict({ours: stored(ours) for ours in self.state_dict()})

    def get_input_embeddings(self):
        return self.words

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None):
        x = self.words(input_ids) if inputs_embeds is None else inputs_embeds
        batch, length = x.shape[:2]
        if attention_mask is None:
            attention_mask = torch.ones(batch, length)
        bias = (1 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        x = self.norm(x + self.types(torch.zeros(batch, length, dtype=torch.long)) + self.positions(torch.arange(length)))
        for layer in self.layers:
            x = layer(x, bias)
        return types.SimpleNamespace(logits=self.classifier(torch.tanh(self.pooler(x[:, 0]))))


def tensors(path):
    """Reads a safetensors file of floats."""
    kinds = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
    with open(path, "rb") as f:
        head = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = bytearray(f.read())
    found = {}
    for name, t in head.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            flat = torch.frombuffer(data[begin:end], dtype=kinds[t["dtype"]])
            found[name] = flat.reshape(t["shape"]).float()
    return found


class Tokenizer:
    """Lower-case WordPiece, with the part of a tokenizer of transformers that
    shap uses. It remembers the pieces of each word."""

    mask_token, sep_token = "[MASK]", "[SEP]"

    def __init__(self, path):
        with open(os.path.join(path, "tokenizer.json"), encoding="utf-8") as f:
            self.vocabulary = json.load(f)["model"]["vocab"]
        self.mask_token_id, self.sep_token_id = self.vocabulary["[MASK]"], self.vocabulary["[SEP]"]
        self.parts = re.compile(r"\[(?:PAD|UNK|CLS|SEP|MASK)\]|\w+|[^\w\s]")
        self.known = {name: [(self.vocabulary[name], 0, len(name))] for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}

    def pieces(self, word):
        """Returns (id, start, end) of the pieces of a word."""
        found, at, text = [], 0, word.lower()
        while at < len(text):
            for end in range(len(text), at, -1):
                piece = self.vocabulary.get(("##" if at else "") + text[at:end])
                if piece is not None:
                    found.append((piece, at, end))
                    at = end
                    break
            else:
                return [(self.vocabulary["[UNK]"], 0, len(text))]
        return found

    def __call__(self, text, return_offsets_mapping=False):
        ids, offsets = [self.vocabulary["[CLS]"]], [(0, 0)]
        for match in self.parts.finditer(text):
            word = match.group()
            if word not in self.known:
                self.known[word] = self.pieces(word)
            for piece, start, end in self.known[word]:
                ids.append(piece)
                offsets.append((match.start() + start, match.start() + end))
        ids.append(self.sep_token_id)
        offsets.append((0, 0))
        return {"input_ids": ids, "offset_mapping": offsets} if return_offsets_mapping else {"input_ids": ids}
