//! The lines of the result, as text.

/// A figure beside its floor and its budget.
pub struct Line {
    pub what: String,
    pub measured: String,
    /// What it is compared with, taken in the same run.
    pub floor: String,
    pub ratio: String,
    pub budget: String,
    pub verdict: Verdict,
}

/// What the comparison came to.
#[derive(Clone, Copy)]
pub enum Verdict {
    Met,
    Over,
    /// There is no budget: for the reader's information.
    Informs,
}

impl Verdict {
    pub fn of(met: bool) -> Verdict {
        if met { Verdict::Met } else { Verdict::Over }
    }

    fn as_str(self) -> &'static str {
        match self {
            Verdict::Met => "pass",
            Verdict::Over => "OVER",
            Verdict::Informs => "",
        }
    }
}

impl Line {
    /// Without a floor and without a budget; both can be added.
    pub fn new(what: &str, measured: String) -> Line {
        Line {
            what: what.to_owned(),
            measured,
            floor: String::new(),
            ratio: String::new(),
            budget: String::new(),
            verdict: Verdict::Informs,
        }
    }

    /// Beside `floor`, as `ratio` times it.
    pub fn over(mut self, floor: String, ratio: f64) -> Line {
        self.floor = floor;
        self.ratio = format!("{ratio:.2}");
        self
    }

    pub fn budget(mut self, budget: &str, met: bool) -> Line {
        budget.clone_into(&mut self.budget);
        self.verdict = Verdict::of(met);
        self
    }

    /// For the reader who watches.
    pub fn in_one(&self) -> String {
        let mut text = format!("{}: {}", self.what, self.measured);
        if !self.ratio.is_empty() {
            text.push_str(&format!(" = {} × {}", self.ratio, self.floor));
        }
        if !self.budget.is_empty() {
            text.push_str(&format!(" [{}: {}]", self.budget, self.verdict.as_str()));
        }
        text
    }

    fn cells(&self) -> [&str; 6] {
        [
            &self.what,
            &self.measured,
            &self.floor,
            &self.ratio,
            &self.budget,
            self.verdict.as_str(),
        ]
    }
}

/// A Markdown table whose columns also line up as plain text.
pub fn render(lines: &[Line]) -> String {
    const HEADINGS: [&str; 6] = ["What", "Measured", "Floor", "Ratio", "Budget", ""];
    let rows: Vec<_> = std::iter::once(HEADINGS)
        .chain(lines.iter().map(Line::cells))
        .collect();
    let widths: Vec<_> = (0..HEADINGS.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("| {cell:<width$} "));
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                text.push_str(&format!("|{}", "-".repeat(width + 2)));
            }
            text.push_str("|\n");
        }
    }
    text
}
