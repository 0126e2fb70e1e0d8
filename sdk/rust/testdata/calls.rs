//! A method that calls every function of xai.rs, and says what it saw in its log and its results.

#[path = "../xai.rs"]
mod xai;

use xai::{
    Code, Edit, Error, Fill, Forward, Generation, Level, Result, Rows, Stride, Tensor, Token, Unit,
    Want,
};

xai::method! {
    name: "calls",
    version: "1.0.0",
    summary: "Calls every function of the host",
    source: "docs/ABI.md",
    needs: ["forward", "gradients", "generate", "tokenize", "embeddings", "patch", "activations"],
    params: Params {
        count: int = -3 { min: -10, max: 10, aliases: ["n", "num"], doc: "an int" },
        ratio: float = 0.1 { doc: "a float" },
        whole: bool = true { compat: {"all": false}, doc: "a bool" },
        note: string = "a \"quoted\" Ünïcode \\ %d" { doc: "a string" },
        what: enum = "all" { values: ["all", "plain", "fail", "host", "cancel", "trap", "memory", "release"], doc: "an enum" },
    },
    explain: explain,
}

fn say(line: String) {
    xai::log(Level::Debug, &line);
}

fn say_tokens(tokens: &[Token]) {
    for t in tokens {
        let flags = (t.special as u8, t.fixed as u8);
        say(format!(
            "token {} {} {} {} {} {} {} {} {}",
            t.id, t.sequence, t.start, t.end, t.rune_start, t.rune_end, flags.0, flags.1, t.text
        ));
    }
}

fn inputs() -> Result<(Vec<Unit>, Vec<Token>)> {
    say(format!("text {}", xai::text()?));
    match xai::text_pair()? {
        Some(pair) => say(format!("pair {pair}")),
        None => say("no pair".into()),
    }
    xai::ids()?.iter().for_each(|id| say(format!("id {id}")));
    let tokens = xai::tokens()?;
    say_tokens(&tokens);
    let units = xai::units()?;
    for u in &units {
        say(format!("unit {}", u.text));
        u.spans
            .iter()
            .for_each(|s| say(format!("span {} {} {}", s.sequence, s.start, s.end)));
        u.tokens.iter().for_each(|t| say(format!("index {t}")));
    }
    xai::special()?
        .iter()
        .for_each(|v| say(format!("special {v}")));
    xai::keep()?.iter().for_each(|v| say(format!("keep {v}")));
    let target = xai::target()?;
    say(format!("target {}", target.kind));
    say(format!("target {}", target.expr));
    say(format!("target {}", target.label));
    say(format!("target {} {}", target.index, target.output as u32));
    target
        .positions
        .iter()
        .for_each(|at| say(format!("position {at}")));
    say(format!("second {} {}", target.second, target.second_label));
    xai::diagnostic("value", target.value)?;
    say(format!("seed {}", xai::seed()?));
    let model = xai::model()?;
    say(format!("model {}", model.id));
    say(format!("model {}", model.architecture));
    say(format!("model {}", model.task));
    say(format!("model {}", model.mask_token));
    model
        .labels
        .iter()
        .for_each(|label| say(format!("label {label}")));
    say(format!(
        "sizes {} {} {}",
        model.layers, model.heads, model.embedding
    ));
    say(format!(
        "sizes {} {} {}",
        model.hidden, model.vocabulary, model.max_tokens
    ));
    say(format!(
        "ids {} {}",
        model.mask_id.unwrap_or(-1),
        model.pad_id.unwrap_or(-1)
    ));
    for id in &model.special_ids {
        say(format!("special {id}"));
    }
    xai::grants()?
        .iter()
        .for_each(|need| say(format!("grant {need}")));
    Ok((units, tokens))
}

fn params(p: &Params) -> Result<()> {
    say(format!("count {}", p.count));
    xai::diagnostic("ratio", p.ratio)?;
    say(format!("whole {}", p.whole as u8));
    say(format!("note {}", p.note));
    say(format!("what {}", p.what));
    if let Err(e) = xai::param::<i64>("undeclared") {
        say(format!("error {} {e}", e.code as i32));
    }
    Ok(())
}

fn tensors() -> Result<()> {
    let t = Tensor::zeros::<u8>(&[2, 3])?;
    t.write(1, &[1u8, 2, 3])?;
    let mut two = [0u8; 2];
    t.read_at(2, &mut two)?;
    two.iter().for_each(|v| say(format!("read {v}")));
    xai::result("u8", &t, &["a", "b"])?;
    xai::result("i32", &Tensor::new(&[-1, 0, i32::MAX], &[3])?, &["a"])?;
    xai::result("i64", &Tensor::new(&[-1, 1i64 << 40], &[2])?, &["a"])?;
    xai::result("f32", &Tensor::new(&[0.5f32, -0.0], &[2])?, &["a"])?;
    let t = Tensor::new(&[0.1, -1e300], &[1, 2])?;
    xai::result("f64", &t, &["a", "b"])?;
    let (dtype, shape) = t.info()?;
    say(format!("info {} {} {}", dtype as u32, shape[0], shape[1]));
    let t = Tensor::new(&(0..12).collect::<Vec<i32>>(), &[3, 4])?;
    let grid = t.read_strided::<i32>(&[
        Stride {
            start: 0,
            count: 2,
            step: 2,
        },
        Stride {
            start: 1,
            count: 2,
            step: 2,
        },
    ])?;
    xai::result("grid", &Tensor::new(&grid, &[2, 2])?, &["a", "b"])
}

fn forwards(units: &[Unit], tokens: &[Token]) -> Result<()> {
    let rows = Tensor::new(&[1u8, 0], &[2, 1])?;
    let one = Tensor::new(&[1.5f32], &[1])?;
    let two = Tensor::new(&[2.5, -2.5], &[2])?;
    let reply = Forward {
        fill: Fill::Text("…"),
        over: Some(&units[..1]),
        target: "1 - 0",
        keep_duplicates: true,
        want: &[Want::Target, Want::Logits],
        points: &["hidden_states[1]", "many"],
        edits: &[
            ("a", Edit::Replace(&one)),
            ("b", Edit::Zero),
            ("c", Edit::Mean),
            ("d", Edit::Add(&two)),
            ("e", Edit::Scale(&one)),
        ],
        ..Forward::new(Rows::Units(&rows))
    }
    .run()?;
    let values = reply.target()?;
    xai::result("target", &Tensor::new(&values, &[values.len()])?, &["row"])?;
    xai::result("logits", &reply.tensor("logits", 0)?, &["row", "class"])?;
    xai::result("many", &reply.tensor("many", 1)?, &["row"])?;
    drop(reply);

    let masks: Vec<u8> = (0..tokens.len()).map(|i| (i != 1) as u8).collect();
    let masks = Tensor::new(&masks, &[1, tokens.len()])?;
    Forward {
        fill: Fill::Token(7),
        want: &[Want::Probs, Want::LogProbs],
        ..Forward::new(Rows::Masks(&masks))
    }
    .run()?;
    Forward::new(Rows::Texts(&["eins", "", "drei"])).run()?;
    Forward::new(Rows::Ids(&[&[1, 2, 3], &[4]])).run()?;
    let embeds = Tensor::zeros::<f32>(&[1, tokens.len(), 2])?;
    let reply = Forward {
        rule: xai::Rule::LrpAlpha1,
        ..Forward::new(Rows::Embeds(&embeds))
    }
    .gradient(&["embeddings", "many"])?;
    xai::result("grad", &reply.gradient("embeddings", 0)?, &["row"])?;

    for name in ["mask", "pad", "delete", "zero", "hide", "average"] {
        let fill: Fill = name.parse()?;
        let values = xai::evaluate(&vec![1; units.len()], units.len(), fill)?;
        if values != [0.25] {
            return Err(Error::new(
                Code::Internal,
                "evaluate returns something else than the target",
            ));
        }
    }
    match "text".parse::<Fill>() {
        Err(e) if e.code == Code::Invalid => Ok(()),
        _ => Err(Error::new(Code::Internal, "a fill needs its text")),
    }
}

fn texts() -> Result<()> {
    say_tokens(&xai::tokenize("zwei Wörter")?);
    let all = [
        Generation {
            max_tokens: 3,
            prompt: Some(&[5, 6]),
            temperature: 0.5,
            top_k: 2,
            top_p: 0.75,
            seed: 9,
        },
        Generation {
            max_tokens: 1,
            ..Generation::default()
        },
    ];
    for g in all {
        let c = g.run()?;
        for (id, logprob) in c.ids.iter().zip(&c.logprobs) {
            say(format!("generated {id} {}", (*logprob == -0.5) as u8));
        }
        say(format!("generated {}", c.text));
    }
    Ok(())
}

fn arithmetic() -> Result<()> {
    let x = Tensor::new(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], &[3, 2])?;
    let y = Tensor::new(&[1.0, 2.0, 4.0], &[3])?;
    let w = Tensor::new(&[1.0, 2.0, 1.0], &[3])?;
    let square = Tensor::new(&[1.0, 2.0, 3.0, 4.0], &[2, 2])?;
    xai::result("ridge", &xai::ridge(&x, &y, &w, 0.5)?, &["a"])?;
    xai::result("matmul", &xai::matmul(&x, &square)?, &["a", "b"])?;
    xai::result("softmax", &xai::softmax(&square)?, &["a", "b"])?;
    xai::result("topk", &xai::top_k(&y, 2)?, &["a"])?;
    xai::result("sum", &xai::sum(&square)?, &["a"])?;
    xai::result("mean", &xai::mean(&square)?, &["a"])
}

fn reports() -> Result<()> {
    let mut five = [0u8; 5];
    xai::random(&mut five)?;
    xai::result("random", &Tensor::new(&five, &[5])?, &["a"])?;
    say(format!("random {}", xai::random_u64()?));
    xai::progress(1, 2)?;
    xai::log(Level::Note, "a note");
    xai::log(Level::Warning, "a warning");
    if let Err(e) = xai::diagnostic(&"x".repeat(300), 1.0) {
        say(format!("long {}", e.code as i32));
    }
    Ok(())
}

fn results(units: &[Unit], tokens: &[Token]) -> Result<()> {
    xai::attributions_to(&units[..2], &[1.5, -2.5])?;
    xai::attribution("attributions.stderr", "units", &[0.5, 0.25])?;
    xai::attribution("second", "tokens", &vec![0.0; tokens.len()])?;
    xai::baseline(0.125)
}

fn explain(p: Params) -> Result<()> {
    match p.what.as_str() {
        "fail" => {
            return Err(Error::new(
                Code::Unsupported,
                format!("{} of {} and {}", "a message", -5, 7i64 << 40),
            ))
        }
        "cancel" => return xai::progress(1, 1),
        "trap" => {
            say(format!("trap {}", [1][p.count.unsigned_abs() as usize]));
        }
        "plain" => return xai::attributions(&[1.0, 2.0, 3.0]),
        "host" => drop(
            Forward::new(Rows::Texts(&["eins"]))
                .run()?
                .tensor("nothing", 0)?,
        ),
        "memory" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1u8; 1 << 20]);
            }
        }
        "release" => {
            for _ in 0..100 {
                let room = vec![1u8; 1 << 20];
                let t = Tensor::new(&room, &[room.len()])?;
                if t.read::<u8>()? != room {
                    return xai::invalid("a tensor changed");
                }
            }
            return xai::attributions(&[1.0, 2.0, 3.0]);
        }
        _ => {}
    }
    let (units, tokens) = inputs()?;
    params(&p)?;
    tensors()?;
    forwards(&units, &tokens)?;
    texts()?;
    arithmetic()?;
    reports()?;
    results(&units, &tokens)
}
