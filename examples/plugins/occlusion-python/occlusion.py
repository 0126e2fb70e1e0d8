"""Occlusion: what the target loses when a window of units is dropped."""

import xai


@xai.method(
    name="occlusion-python",
    version="1.0.0",
    summary="What the target loses when a window of units is dropped",
    source="Zeiler, Fergus 2014, arXiv:1311.2901",
    needs=["forward"],
    params=[
        xai.Int("window", 1, min=1, doc="units in a row that are dropped together"),
        xai.Int("stride", 1, min=1, doc="units from the start of one window to that of the next; at most the window"),
        xai.Enum(
            "fill", "auto", ["auto", "mask", "pad", "delete", "zero", "hide", "average"],
            doc="what a dropped unit becomes; auto is the mask token, or delete where the tokenizer has none",
        ),
    ],
)
def explain(model: xai.Model, request: xai.Request) -> xai.Explanation:
    n, window, stride = len(request.units), request.params["window"], request.params["stride"]
    if n == 0:
        raise xai.Error(xai.Code.INVALID, "the input has no units to attribute to: give a text with at least one word")
    if stride > window:
        raise xai.Error(
            xai.Code.INVALID,
            f"stride={stride} leaves units out between windows of {window}: use a stride of at most the window",
        )
    fill = request.params["fill"]
    if fill == "auto":
        fill = "mask" if model.mask_token else "delete"

    # A row for each window, which drops its units.
    dropped = windows(n, min(window, n), min(stride, n))
    without = model.forward(units=[[u not in window for u in range(n)] for window in dropped], fill=fill)["target"]

    # A unit's attribution is the mean over the windows that it lies in.
    sums, counts = [0.0] * n, [0] * n
    for window, value in zip(dropped, without):
        for u in window:
            sums[u] += request.target.value - value
            counts[u] += 1
    return xai.Explanation(
        [total / count for total, count in zip(sums, counts)],
        diagnostics={"windows": len(dropped)},
    )


def windows(n: int, window: int, stride: int) -> "list[range]":
    """The windows over n units: each begins a stride behind the one before it, and the last one
    ends with the units, of which there are as many as a window at least."""
    count = (n - window + stride - 1) // stride + 1
    return [range(w * stride, min(w * stride + window, n)) for w in range(count)]


if __name__ == "__main__":
    xai.serve(explain)
