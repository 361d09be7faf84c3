//! Runs the scripts in `testscripts/utility`: each `> statement` is parsed and planned, and the plan printed.

use std::error::Error;
use std::fmt::Write as _;

use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::parse;
use trellis_sqlcompat::plan::{PlanKind, SessionStatement};
use trellis_sqlcompat::schema::{Catalog, SchemaHost};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, SqlError};

/// A catalog to plan against.
struct Runner(Catalog);

/// Evaluates nothing: no table here has rows.
struct NoHost;

impl SchemaHost for NoHost {
    fn evaluate(&mut self, _: &str) -> Result<Datum, SqlError> {
        Ok(Datum::Null)
    }
}

impl Runner {
    fn plan(&mut self, sql: &str) -> Result<String, SqlError> {
        let mut output = String::new();
        for statement in parse::split(sql)? {
            let search_path = ["public".to_owned()];
            let context = BindContext {
                catalog: &self.0,
                search_path: &search_path,
                user: "postgres",
                database: "app",
                settings: &FormatSettings::default(),
                parameters: Parameters::Inferred(&[]),
            };
            let plan = bind::plan(&statement, &context)?;
            match plan.kind {
                PlanKind::Session(SessionStatement::Copy(copy)) => {
                    writeln!(output, "Copy {:?} {}", copy.direction, copy.relation)
                        .expect("a String takes everything");
                    writeln!(output, "  columns {:?}", copy.columns)
                        .expect("a String takes everything");
                    writeln!(output, "  parameters {:?}", copy.plan.parameters)
                        .expect("a String takes everything");
                    writeln!(output, "  {:?}", copy.options).expect("a String takes everything");
                }
                PlanKind::Session(SessionStatement::Explain(explain)) => {
                    let (analyze, verbose, json) = (explain.analyze, explain.verbose, explain.json);
                    let what = format!("analyze {analyze} verbose {verbose} json {json}");
                    writeln!(output, "Explain {what}").expect("a String takes everything");
                }
                PlanKind::Session(SessionStatement::DeclareCursor(declare)) => {
                    let (name, scroll) = (&declare.name, declare.scroll);
                    let (hold, binary) = (declare.hold, declare.binary);
                    writeln!(
                        output,
                        "DeclareCursor {{ name: {name:?}, scroll: {scroll:?}, \
                         hold: {hold}, binary: {binary} }}"
                    )
                    .expect("a String takes everything");
                }
                PlanKind::Session(session) => {
                    writeln!(output, "{session:?}").expect("a String takes everything");
                }
                PlanKind::Schema(schema) => {
                    let change = schema.apply(&self.0, &mut NoHost)?;
                    writeln!(output, "{}", change.tag).expect("a String takes everything");
                    self.0 = self.0.with_temporary(change.rows);
                }
                other => writeln!(output, "{other:?}").expect("a String takes everything"),
            }
        }
        Ok(output)
    }
}

impl goldenscript::Runner for Runner {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &goldenscript::Command,
        _: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        Ok(match self.plan(&command.name) {
            Ok(output) => output,
            Err(error) => {
                let position = error.position.map(|at| format!(" at {at}")).unwrap_or_default();
                format!("ERROR {} {}{position}\n", error.state, error.message)
            }
        })
    }
}

#[test]
fn scripts() {
    let mut scripts: Vec<_> = std::fs::read_dir("testscripts/utility")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.sort();
    for path in scripts {
        goldenscript::run(&mut Runner(Catalog::from_rows([])), &path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
