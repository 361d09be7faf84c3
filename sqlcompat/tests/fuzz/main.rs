//! Texts that nobody would write, through parse, bind, lower and SQLite: an answer or one of PostgreSQL's errors, never a
//! panic, an overflow of the stack, an error without a code, or work without end.
//!
//! A round is a script of the tree and [`CASES`] texts made of its statements; its number is all of its randomness.
//!
//! ```text
//! FUZZ_ROUNDS=100000 cargo test -p trellis-sqlcompat --test fuzz            for long, all findings at its end
//! FUZZ_FIRST=4711 FUZZ_ROUNDS=1 cargo test -p trellis-sqlcompat --test fuzz   a round again
//! ```

#[path = "../session/mod.rs"]
mod session;

mod calls;
mod corpus;
mod random;
mod subject;
mod text;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use corpus::Script;
use random::Random;
use subject::Subject;

/// Texts of a round.
const CASES: usize = 40;

/// Rounds of a brief run.
const ROUNDS: u64 = 40;

/// Half of what a session has, in a build whose frames are several times those of a release.
const STACK_BYTES: usize = 4 << 20;

/// A text that takes longer is a finding, even in a debug build on a busy machine.
const CASE_MAX: Duration = Duration::from_secs(100);

/// A text that takes longer never ends.
const HANG: Duration = Duration::from_secs(900);

/// The text that is being run, by round and number.
type Current = Arc<Mutex<String>>;

/// Findings by what they have in common, with the first text of each.
#[derive(Default)]
struct Findings(BTreeMap<String, (usize, String)>);

impl Findings {
    fn add(&mut self, finding: &str, place: &str) {
        let line = finding.lines().next().unwrap_or_default();
        // Numbers and what is quoted tell apart what is the same.
        let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let kind: String = line.chars().map(digits).take(120).collect();
        let (count, _) = self.0.entry(kind).or_insert_with(|| {
            // At once, since a run for long may be ended before it reports.
            drop(writeln!(std::io::stderr(), "{finding}\n  {place}"));
            (0, format!("{finding}\n  {place}"))
        });
        *count += 1;
    }

    fn report(&self) -> String {
        let line = |(_, (count, first)): (_, &(usize, String))| format!("{count} x {first}\n");
        self.0.iter().map(line).collect()
    }
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::vars().find(|(key, _)| key == name);
    value.map_or(default, |(_, text)| text.parse().expect("a number"))
}

fn run_round(scripts: &[Script], round: u64, current: &Current, findings: &mut Findings) {
    let mut random = Random::new(round);
    let script = &scripts[random.below(scripts.len())];
    let mut subject = Subject::new(&script.setup);
    for case in 0..CASES {
        let sql = text::text(&mut random, &script.statements);
        let place = format!("FUZZ_FIRST={round} FUZZ_ROUNDS=1, text {case}: {sql}");
        current.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&place);
        let started = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| subject.run(&sql, &mut random)));
        match ran {
            Ok(Ok(())) if started.elapsed() > CASE_MAX => findings.add("too slow", &place),
            Ok(Ok(())) => {}
            Ok(Err(finding)) => findings.add(&finding, &place),
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message =
                    message.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
                findings.add(&format!("panic: {}", message.unwrap_or_default()), &place);
                subject = Subject::new(&script.setup);
            }
        }
    }
}

#[test]
fn whatever_is_written_is_answered() {
    let (first, rounds) = (number("FUZZ_FIRST", 0), number("FUZZ_ROUNDS", ROUNDS));
    let current = Current::default();
    let (sender, receiver) = mpsc::channel();
    let work = {
        let current = Arc::clone(&current);
        move || {
            let scripts = corpus::scripts();
            let mut findings = Findings::default();
            for round in first..first + rounds {
                run_round(&scripts, round, &current, &mut findings);
                if sender.send(None).is_err() {
                    return;
                }
            }
            drop(sender.send(Some(findings.report())));
        }
    };
    let worker = thread::Builder::new().stack_size(STACK_BYTES).spawn(work).expect("a thread");
    loop {
        match receiver.recv_timeout(HANG) {
            Ok(None) => {}
            Ok(Some(report)) => {
                worker.join().expect("the worker has reported");
                assert!(report.is_empty(), "{report}");
                return;
            }
            Err(error) => {
                let text = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                panic!("{error}: {text}");
            }
        }
    }
}
