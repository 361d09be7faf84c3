//! Clients that are not Rust crates: psql, pgbench, and Python with its drivers and a data set.
//!
//! The Python drivers and the airports (`airportsdata`, MIT licence) come from PyPI into a virtual environment under the
//! target directory, once for each list of versions ([`PYPI`]). Where a client cannot be had, the test
//! that needs it says so and ends; with `TRELLIS_REQUIRE_CLIENTS=1`, as in CI, it fails.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::matrix::list::PYPI;

/// The environment of this run, or why there is none.
static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// Takes a client, or skips: `Ok(None)` after saying so, or an error where clients are required.
///
/// # Errors
///
/// When the client is missing and `TRELLIS_REQUIRE_CLIENTS` is set.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn require<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(client) => Ok(Some(client)),
        Err(error) if std::env::var_os("TRELLIS_REQUIRE_CLIENTS").is_some_and(|v| v == "1") => {
            Err(error.context("TRELLIS_REQUIRE_CLIENTS=1 forbids to skip this test"))
        }
        Err(error) => {
            eprintln!("SKIPPED: {error:#}");
            Ok(None)
        }
    }
}

/// psql, as found on the search path.
#[derive(Debug, Clone)]
pub struct Psql {
    /// The executable.
    program: PathBuf,
}

impl Psql {
    /// Finds psql.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find() -> Result<Self> {
        Ok(Self { program: on_search_path("psql")? })
    }

    /// Runs `script` with the connection string `conninfo`; stops at the first error.
    ///
    /// Output is unaligned and without headers, so that each row is one line of values separated by `|`.
    ///
    /// # Errors
    ///
    /// When psql ends with an error; the text is what it wrote to stderr.
    pub fn run(&self, conninfo: &str, script: &str) -> Result<String> {
        let output = self.output(conninfo, script, &["-qAt", "-v", "ON_ERROR_STOP=1"])?;
        if !output.status.success() {
            bail!("psql failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs `script` as if typed, with psql's own layout, and returns stdout and stderr, whatever the outcome.
    ///
    /// # Errors
    ///
    /// When psql cannot be run at all.
    pub fn transcript(&self, conninfo: &str, script: &str) -> Result<String> {
        let output = self.output(conninfo, script, &["-q"])?;
        let mut text = String::from_utf8(output.stdout)?;
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    /// Runs psql with `script` as its standard input.
    fn output(&self, conninfo: &str, script: &str, options: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.arg("-X").args(options).args(["-d", conninfo]);
        command.env("PGCLIENTENCODING", "UTF8").env("LC_ALL", "C.UTF-8");
        run_with_input(command, script)
    }
}

/// pgbench of the PostgreSQL that is the oracle, or of the search path.
///
/// # Errors
///
/// When there is none.
pub fn pgbench() -> Result<PathBuf> {
    let own = crate::oracle::program("pgbench");
    if own.exists() { Ok(own) } else { on_search_path("pgbench") }
}

/// Python with the drivers installed.
#[derive(Debug, Clone)]
pub struct Python {
    /// The interpreter of the virtual environment.
    interpreter: PathBuf,
}

impl Python {
    /// Finds the virtual environment, or sets it up from PyPI.
    ///
    /// # Errors
    ///
    /// When there is no Python, or PyPI cannot be reached and the packages are not there yet.
    pub fn find() -> Result<Self> {
        let found = PYTHON.get_or_init(|| python_environment().map_err(|e| format!("{e:#}")));
        found.clone().map(|interpreter| Self { interpreter }).map_err(anyhow::Error::msg)
    }

    /// Runs `script` with `arguments` in `sys.argv[1:]` and returns what it printed.
    ///
    /// # Errors
    ///
    /// When the script ends with an error; the text is its traceback.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.interpreter);
        command.arg("-").args(arguments);
        let output = run_with_input(command, script)?;
        if !output.status.success() {
            bail!("python failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A command that runs the interpreter.
    #[must_use]
    pub fn command(&self) -> Command {
        Command::new(&self.interpreter)
    }

    /// The CSV file of the world's airports, about 28,000 lines with a header.
    ///
    /// # Errors
    ///
    /// When the package is incomplete.
    pub fn airports_csv(&self) -> Result<PathBuf> {
        let script = "import airportsdata, os\n\
                      print(os.path.join(os.path.dirname(airportsdata.__file__), 'airports.csv'))";
        Ok(PathBuf::from(self.run(script, &[])?.trim()))
    }
}

/// Returns the interpreter of the environment under the target directory, created if need be.
fn python_environment() -> Result<PathBuf> {
    let directory = toolbox("python", &PYPI, |directory| {
        let python = on_search_path("python3")?;
        run_to_end(Command::new(python).args(["-m", "venv"]).arg(directory.join("venv")))?;
        run_to_end(
            Command::new(directory.join("venv/bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(PYPI),
        )
    })?;
    Ok(directory.join("venv/bin/python"))
}

/// A directory under the target directory that `fill` has filled with exactly what `contents` lists.
///
/// It is filled anew when the list has changed. Processes that want it at the same time wait for each other.
///
/// # Errors
///
/// When the directory cannot be written to, or `fill` fails: then the next call tries again.
pub(crate) fn toolbox(
    name: &str,
    contents: &[&str],
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let clients = target_directory()?.join("clients");
    fs::create_dir_all(&clients)?;
    let lock = fs::File::create(clients.join(format!("{name}.lock")))?;
    lock.lock().context("cannot lock the directory of clients")?;
    let directory = clients.join(name);
    let complete = directory.join("complete");
    let listed = contents.join("\n");
    if fs::read_to_string(&complete).is_ok_and(|present| present == listed) {
        return Ok(directory);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir(&directory)?;
    fill(&directory)?;
    fs::write(complete, listed)?;
    Ok(directory)
}

/// Whether this process is root's.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(crate) fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("cannot tell the current user")?.uid() == 0)
}

/// The target directory that this test was built in: two levels above `<profile>/deps/<test>`.
fn target_directory() -> Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let profile = executable
        .ancestors()
        .find(|path| path.file_name().is_some_and(|name| name == "debug" || name == "release"));
    let target = profile.and_then(Path::parent).context("not run from a target directory")?;
    Ok(target.to_path_buf())
}

/// Runs a command that is expected to succeed.
///
/// # Errors
///
/// When it does not; the text is what it wrote to stderr.
pub(crate) fn run_to_end(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("cannot run a set-up command")?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Runs a command with `input` on its standard input, and collects what it writes.
fn run_with_input(mut command: Command, input: &str) -> Result<Output> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("input");
    fs::write(&file, input)?;
    command.stdin(fs::File::open(&file)?);
    command.output().with_context(|| format!("cannot run {command:?}"))
}

/// Finds an executable on the search path.
///
/// # Errors
///
/// When there is none of that name.
pub(crate) fn on_search_path(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{name} is not installed"))
}
