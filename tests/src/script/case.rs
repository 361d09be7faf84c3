//! The text form of a script: reading and writing.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Separates SQL from answer.
const ANSWER_MARK: &str = "----";

/// Starts the part with Trellis's own answer; a reason follows.
const DIFFERENCE_MARK: &str = "---- trellis:";

/// Starts the lines of COPY data.
const DATA_MARK: &str = "@data";

/// A file of cases.
#[derive(Debug, Clone)]
pub struct Script {
    /// Where it is.
    pub path: PathBuf,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// One statement, or several in one Query, with the expected answer.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// The line in the file on which the case starts, from 1.
    pub line: usize,
    /// Comment lines before it.
    pub comments: Vec<String>,
    /// Lines that start with `@`, before the SQL.
    pub directives: Vec<String>,
    /// The SQL, its lines joined by newlines.
    pub sql: String,
    /// COPY data, if there is any.
    pub data: Option<String>,
    /// PostgreSQL's answer.
    pub answer: Vec<String>,
    /// The reason for a known difference, and Trellis's answer.
    pub difference: Option<(String, Vec<String>)>,
}

impl Script {
    /// Reads the script at `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { path: path.to_path_buf(), cases: parse(&text) })
    }

    /// All scripts (`*.slt`) under `directory`, in the order of their paths.
    ///
    /// # Errors
    ///
    /// When a directory or a file cannot be read.
    pub fn read_all(directory: &Path) -> Result<Vec<Self>> {
        let mut scripts = Vec::new();
        let mut entries: Vec<PathBuf> = fs::read_dir(directory)
            .with_context(|| format!("cannot list {}", directory.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        for path in entries {
            if path.is_dir() {
                scripts.extend(Self::read_all(&path)?);
            } else if path.extension().is_some_and(|extension| extension == "slt") {
                scripts.push(Self::read(&path)?);
            }
        }
        Ok(scripts)
    }

    /// Writes the script back to its file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self) -> Result<()> {
        let cases: Vec<String> = self.cases.iter().map(Case::to_text).collect();
        fs::write(&self.path, cases.join("\n"))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Case {
    /// The value of the directive `name`, if it is given; a directive without a value has an empty one.
    pub fn directive(&self, name: &str) -> Option<&str> {
        self.directives.iter().find_map(|line| {
            let rest = line.strip_prefix('@')?.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
        })
    }

    /// The case as it stands in a file, with the newline that ends it.
    fn to_text(&self) -> String {
        let mut text = String::new();
        let mut lines = |block: &[String]| {
            for line in block {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{line}");
            }
        };
        lines(&self.comments);
        lines(&self.directives);
        lines(std::slice::from_ref(&self.sql));
        if let Some(data) = &self.data {
            lines(&[DATA_MARK.to_owned()]);
            lines(&data.lines().map(str::to_owned).collect::<Vec<_>>());
        }
        lines(&[ANSWER_MARK.to_owned()]);
        lines(&self.answer);
        if let Some((reason, answer)) = &self.difference {
            lines(&[format!("{DIFFERENCE_MARK} {reason}")]);
            lines(answer);
        }
        text
    }
}

/// The part of a case that a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Comments, directives and SQL.
    Question,
    /// COPY data.
    Data,
    /// PostgreSQL's answer.
    Answer,
    /// Trellis's answer.
    Difference,
}

/// Reads the cases of a file.
///
/// A case that has no answer yet (a draft) ends at the semicolon that ends a line, so that new statements can be
/// written one below the other.
fn parse(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in blocks(text) {
        let draft = !block.iter().any(|(_, line)| *line == ANSWER_MARK);
        let mut case = Case::default();
        let mut part = Part::Question;
        for (index, (number, line)) in block.iter().enumerate() {
            if case.line == 0 {
                case.line = *number;
            }
            part = take_line(&mut case, part, line);
            let data_follows = block.get(index + 1).is_some_and(|(_, next)| *next == DATA_MARK);
            let ends = line.ends_with(';') && !line.starts_with('#') && !data_follows;
            if draft && part == Part::Question && ends {
                cases.push(std::mem::take(&mut case));
            }
        }
        if !case.sql.is_empty() {
            cases.push(case);
        }
    }
    cases
}

/// Groups of numbered lines between blank lines.
fn blocks(text: &str) -> Vec<Vec<(usize, &str)>> {
    let mut blocks = vec![Vec::new()];
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            blocks.push(Vec::new());
        } else if let Some(block) = blocks.last_mut() {
            block.push((index + 1, line));
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Adds a line to the case, and says which part the next one belongs to.
fn take_line(case: &mut Case, part: Part, line: &str) -> Part {
    if let Some(reason) = line.strip_prefix(DIFFERENCE_MARK) {
        case.difference = Some((reason.trim().to_owned(), Vec::new()));
        return Part::Difference;
    }
    if line == ANSWER_MARK && part != Part::Answer {
        return Part::Answer;
    }
    match part {
        Part::Question if line == DATA_MARK => {
            case.data = Some(String::new());
            return Part::Data;
        }
        Part::Question if case.sql.is_empty() && line.starts_with('#') => {
            case.comments.push(line.to_owned());
        }
        Part::Question if case.sql.is_empty() && line.starts_with('@') => {
            case.directives.push(line.to_owned());
        }
        Part::Question => {
            if !case.sql.is_empty() {
                case.sql.push('\n');
            }
            case.sql.push_str(line);
        }
        Part::Data => {
            let data = case.data.get_or_insert_default();
            data.push_str(line);
            data.push('\n');
        }
        Part::Answer => case.answer.push(line.to_owned()),
        Part::Difference => {
            if let Some((_, answer)) = &mut case.difference {
                answer.push(line.to_owned());
            }
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_written_as_it_was_read() {
        let text = "# Why.\n@sorted\nSELECT 1,\n  2;\n----\n1 | 2\nSELECT 1\n\
                    ---- trellis: not yet\nERROR 0A000\n\n\
                    COPY t FROM STDIN;\n@data\n1\ta\n----\nCOPY 1\n";
        let cases: Vec<String> = parse(text).iter().map(Case::to_text).collect();
        assert_eq!(cases.join("\n"), text);
    }

    #[test]
    fn drafts_end_at_semicolons() {
        let cases = parse("# Two.\nSELECT 1;\nSELECT\n  2;\n@binary\nSELECT 3;\n");
        let found: Vec<&str> = cases.iter().map(|case| case.sql.as_str()).collect();
        assert_eq!(found, ["SELECT 1;", "SELECT\n  2;", "SELECT 3;"]);
        assert_eq!(cases[2].directive("binary"), Some(""));
    }
}
