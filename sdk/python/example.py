"""An explanation method for xai: what the target loses when each unit is dropped."""

import xai


# What xai prints as help, and checks before explain runs.
@xai.method(
    name="leave-one-out",
    version="0.1.0",
    summary="What the target loses when each unit is dropped",
    needs=["forward"],
    params=[xai.Enum("fill", "mask", ["mask", "delete", "zero", "hide"], doc="what a dropped unit becomes")],
)
def explain(model: xai.Model, request: xai.Request) -> xai.Explanation:
    n = len(request.units)
    if n == 0:
        raise xai.Error(xai.Code.INVALID, "the input has no units to attribute to: give a text with at least one word")

    # Row i keeps every unit but unit i: n variants of the input, in one call.
    keep = [[i != j for j in range(n)] for i in range(n)]
    without = model.forward(units=keep, fill=request.params["fill"])["target"]

    return xai.Explanation([request.target.value - value for value in without])


if __name__ == "__main__":
    xai.serve(explain)
