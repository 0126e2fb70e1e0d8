"""A method that calls everything in xai.py, and says what it saw in its log and its results; or that
ends as its parameter says."""

import os
import sys
import time

import xai


class Own(xai.Reply):
    """A tensor of the method's own in the place of a reply's, to read it back."""

    def __init__(self, model, tensor):
        super().__init__(model._host, model._host.send(tensor))

    def _get(self, name, index):
        return self._handle

    def __getitem__(self, name):
        return self._host.receive(self._handle)


@xai.method(
    name="calls",
    version="1.0.0",
    summary="Calls every function of the host",
    source="docs/ABI.md",
    needs=["forward", "gradients", "generate", "tokenize", "embeddings", "patch", "activations"],
    params=[
        xai.Int("count", -3, min=-10, max=10, aliases=["n", "num"], doc="an int"),
        xai.Float("ratio", 0.1, doc="a float"),
        xai.Bool("whole", True, compat={"all": False}, doc="a bool"),
        xai.String("note", 'a "quoted" Ünïcode \\ %d', doc="a string"),
        xai.Enum("what", "all", ["all", "plain", "fail", "host", "cancel", "trap", "memory", "release"], doc="an enum"),
    ],
)
def explain(model, request):
    plain = xai.Explanation([1.0, 2.0, 3.0])
    what = request.params["what"]
    if what == "all":
        return everything(model, request)
    if what == "fail":
        raise xai.Error(xai.Code.UNSUPPORTED, f"a message of {-5} and {7 << 40}")
    if what == "host":
        model.forward(texts=["eins"])["nothing"]
    if what == "cancel":
        request.progress(1, 1)
    if what == "trap":
        [1][3]
    if what == "memory":
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    if what == "release":
        for _ in range(40):  # 320 MiB, of which the host keeps 256 at once
            Own(model, xai.Tensor.zeros([1 << 20]))
    if what == "print":
        print("to standard output")
        sys.stderr.write("to standard error\n")
        os.write(1, b"to the file\n")
    if what == "exit":
        sys.exit("enough")
    if what == "end":
        os._exit(7)
    if what == "nothing":
        return None
    if what == "short":
        return xai.Explanation([1.0])
    if what == "words":
        return xai.Explanation(["one", "two", "three"])
    if what == "loop":
        request.log("looping", "note")
        while True:
            pass
    if what == "sleep":
        request.log("sleeping", "note")
        time.sleep(600)
    if what == "deaf":
        request.log("deaf", "note")
        while True:
            try:
                time.sleep(600)
            except xai.Error:
                pass
    if what == "secret":
        with open("/etc/passwd") as f:
            f.read()
    if what == "large":
        t = xai.Tensor([[i % 251 for i in range(1 << 10)]] * 3000, "u8")
        if Own(model, t)["large"] != t:
            raise ValueError("3 MB came back as something else")
    return plain


def everything(model, request):
    def say(line, level="debug"):
        request.log(line, level)

    say(f"text {request.text}")
    say(f"pair {request.text_pair}")
    for t in request.tokens:
        say(f"id {t.id}")

    def tokens(list):
        for t in list:
            say(f"token {t.id} {t.sequence} {t.start} {t.end} {t.rune_start} {t.rune_end} {t.special:d} {t.fixed:d} {t.text}")

    tokens(request.tokens)
    for u in request.units:
        say(f"unit {u.text}")
        for s in u.spans:
            say(f"span {s.sequence} {s.start} {s.end}")
        for i in u.tokens:
            say(f"index {i}")
    for t in request.tokens:
        say(f"special {t.special:d}")
    for t in request.tokens:
        say(f"keep {t.special or t.fixed:d}")
    target = request.target
    for text in (target.kind, target.expr, target.label, f"{target.index} {target.output:d}"):
        say(f"target {text}")
    for at in target.positions:
        say(f"position {at}")
    say(f"second {target.second} {target.second_label}")
    say(f"seed {request.seed}")
    for text in (model.id, model.architecture, model.task, model.mask_token):
        say(f"model {text}")
    for label in model.labels:
        say(f"label {label}")
    say(f"sizes {model.layers} {model.heads} {model.embedding}")
    say(f"sizes {model.hidden} {model.vocabulary} {model.max_tokens}")
    say(f"ids {model.mask_id} {-1 if model.pad_id is None else model.pad_id}")
    for id in model.special_ids:
        say(f"special {id}")
    for need in request.needs:
        say(f"grant {need}")

    say(f"count {request.params['count']}")
    say(f"whole {request.params['whole']:d}")
    say(f"note {request.params['note']}")
    say(f"what {request.params['what']}")
    try:
        model._host.param("undeclared")
    except xai.Error as e:
        say(f"error {e.code:d} {e}")

    kept = {}
    t = xai.Tensor([[0, 1, 2], [3, 0, 0]], "u8")
    kept["u8"] = (["a", "b"], t)
    for v in Own(model, t)["u8"].data[2:4]:
        say(f"read {v}")
    kept["i32"] = (["a"], xai.Tensor([-1, 0, 2**31 - 1], "i32"))
    kept["i64"] = (["a"], [-1, 1 << 40])
    kept["f32"] = (["a"], xai.Tensor([0.5, -0.0], "f32"))
    kept["f64"] = (["a", "b"], [[0.1, -1e300]])
    back = Own(model, xai.Tensor([[0.1, -1e300]]))["f64"]
    say(f"info {['u8', 'i32', 'i64', 'f32', 'f64'].index(back.dtype)} {back.shape[0]} {back.shape[1]}")
    grid = xai.Tensor([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], "i32")
    kept["grid"] = (["a", "b"], Own(model, grid).part("grid", (slice(0, 3, 2), slice(1, 4, 2))))

    one = xai.Tensor([1.5], "f32")
    reply = model.forward(
        units=[[True], [False]], fill=xai.Fill.of_text("…"), over=request.units[:1], target="1 - 0", dedup=False,
        want=["target", "logits"], points=["hidden_states[1]", "many"],
        edits=[
            xai.Edit("a", value=one), xai.Edit("b", "zero"), xai.Edit("c", "mean"),
            xai.Edit("d", "add", [2.5, -2.5]), xai.Edit("e", "scale", one),
        ],
    )
    kept["target"] = (["row"], reply["target"])
    kept["logits"] = (["row", "class"], reply["logits"])
    kept["many"] = (["row"], reply["many", 1])
    if reply.part("logits", (1, slice(None))).tolist() != [2, -2]:
        raise ValueError("the second row of the logits")
    model.forward(masks=[[i != 1 for i in range(len(request.tokens))]], fill=xai.Fill.of_token(7), want=["probs", "logprobs"])
    model.forward(texts=["eins", "", "drei"])
    model.forward(ids=[[1, 2, 3], [4]])
    embeds = xai.Tensor.zeros([1, len(request.tokens), 2], "f32")
    reply = model.gradient(embeds=embeds, wrt=["embeddings", "many"], rule="lrp-alpha1")
    kept["grad"] = (["row"], reply[xai.grad("embeddings")])
    for fill in ("mask", "pad", "delete", "zero", "hide", "average"):
        if model.forward(units=[[1] * len(request.units)], fill=fill)["target"].item() != 0.25:
            raise ValueError("the target")

    tokens(model.tokenize("zwei Wörter"))
    for c in (
        model.generate(3, prompt=[5, 6], temperature=0.5, top_k=2, top_p=0.75, seed=9),
        model.generate(1),
    ):
        for id, logprob in zip(c.ids, c.logprobs):
            say(f"generated {id} {logprob == -0.5:d}")
        say(f"generated {c.text}")

    x, y, square = [[1, 0], [0, 1], [1, 1]], [1, 2, 4], [[1, 2], [3, 4]]
    kept["ridge"] = (["a"], model.ridge(x, y, [1, 2, 1], 0.5))
    kept["matmul"] = (["a", "b"], model.matmul(x, square))
    kept["softmax"] = (["a", "b"], model.softmax(square))
    kept["topk"] = (["a"], model.top_k(y, 2))
    kept["sum"] = (["a"], model.sum(square))
    kept["mean"] = (["a"], model.mean(square))

    kept["random"] = (["a"], request.random(5))
    say(f"random {int.from_bytes(request.random(8), 'little')}")
    request.progress(1, 2)
    request.log("a note")
    say("a warning", "warning")
    try:
        model._host.result("diagnostics." + "x" * 300, xai.Tensor(1.0), b"")
    except xai.Error as e:
        say(f"long {e.code:d}")

    return xai.Explanation(
        [1.5, -2.5], stderr=[0.5, 0.25], units=request.units[:2], baseline=0.125,
        more=[xai.Attribution("second", [0.0] * len(request.tokens), over="tokens")],
        diagnostics={"value": request.target.value, "ratio": request.params["ratio"]},
        tensors=kept,
    )


if __name__ == "__main__":
    xai.serve(explain)
