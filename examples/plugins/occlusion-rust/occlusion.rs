//! Occlusion: what the target loses when a window of units is dropped.

#[path = "../../../sdk/rust/xai.rs"]
mod xai;

use xai::Fill;

xai::method! {
    name: "occlusion-rust",
    version: "1.0.0",
    summary: "What the target loses when a window of units is dropped",
    source: "Zeiler, Fergus 2014, arXiv:1311.2901",
    needs: ["forward"],
    params: Params {
        window: int = 1 { min: 1, doc: "units in a row that are dropped together" },
        stride: int = 1 { min: 1, doc: "units from the start of one window to that of the next; at most the window" },
        fill: enum = "auto" {
            values: ["auto", "mask", "pad", "delete", "zero", "hide", "average"],
            doc: "what a dropped unit becomes; auto is the mask token, or delete where the tokenizer has none",
        },
    },
    explain: explain,
}

fn explain(p: Params) -> xai::Result<()> {
    let n = xai::units()?.len();
    if n == 0 {
        return xai::invalid(
            "the input has no units to attribute to: give a text with at least one word",
        );
    }
    if p.stride > p.window {
        return xai::invalid(format!(
            "stride={} leaves units out between windows of {}: use a stride of at most the window",
            p.stride, p.window
        ));
    }
    let windows = windows(
        n,
        p.window.min(n as i64) as usize,
        p.stride.min(n as i64) as usize,
    );

    // A row for each window, which drops its units.
    let mut keep = vec![1; windows.len() * n];
    for (row, window) in keep.chunks_mut(n).zip(&windows) {
        row[window.clone()].fill(0);
    }
    let value = xai::target()?.value;
    let without = xai::evaluate(&keep, n, fill(&p)?)?;

    // A unit's attribution is the mean over the windows that it lies in.
    let (mut sums, mut counts) = (vec![0.0; n], vec![0.0; n]);
    for (window, v) in windows.iter().zip(without) {
        for u in window.clone() {
            sums[u] += value - v;
            counts[u] += 1.0;
        }
    }
    let scores: Vec<f64> = sums
        .iter()
        .zip(&counts)
        .map(|(sum, count)| sum / count)
        .collect();
    xai::attributions(&scores)?;
    xai::diagnostic("windows", windows.len() as f64)
}

/// The windows over n units: each begins a stride behind the one before it, and the last one ends
/// with the units, of which there are as many as a window at least.
fn windows(n: usize, window: usize, stride: usize) -> Vec<std::ops::Range<usize>> {
    let count = (n - window + stride - 1) / stride + 1;
    (0..count)
        .map(|w| w * stride..(w * stride + window).min(n))
        .collect()
}

/// The fill policy that the parameter asks for.
fn fill(p: &Params) -> xai::Result<Fill<'static>> {
    if p.fill != "auto" {
        return p.fill.parse();
    }
    Ok(match xai::model()?.mask_token.as_str() {
        "" => Fill::Delete,
        _ => Fill::Mask,
    })
}

#[cfg(test)]
mod tests {
    use super::windows;

    #[test]
    fn windows_cover_every_unit() {
        assert_eq!(windows(1, 1, 1), [0..1]);
        assert_eq!(windows(3, 1, 1), [0..1, 1..2, 2..3]);
        assert_eq!(windows(5, 2, 2), [0..2, 2..4, 4..5]);
        assert_eq!(windows(5, 3, 1), [0..3, 1..4, 2..5]);
        assert_eq!(windows(2, 2, 2), [0..2]);
    }
}
