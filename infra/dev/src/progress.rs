//! Steps that a person waits for: what runs, how long it took, and the end of the output if it failed.

#![expect(
    clippy::print_stdout,
    reason = "this is the terminal's side of `cargo dev`"
)]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// How many lines of a failed command's output are shown.
const TAIL_LINES: usize = 60;

/// Where a step says what it is at. Silent inside tests.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::default()
    }

    /// Says what the step is at.
    pub fn say(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.trim().to_owned());
        }
    }

    /// Says something that has to be read, whatever becomes of the step.
    pub fn tell(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.suspend(|| println!("  {what}"));
        }
    }

    /// Runs a command; its output is shown line by line while it runs, and its end if it fails.
    ///
    /// # Errors
    /// When the command cannot be started or fails.
    pub fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        let name = describe(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{name}`"))?;
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(TAIL_LINES)));
        let readers = [
            child.stdout.take().map(|out| self.follow(out, &tail)),
            child.stderr.take().map(|err| self.follow(err, &tail)),
        ];
        let status = child.wait().with_context(|| format!("wait for `{name}`"))?;
        for reader in readers.into_iter().flatten() {
            // A reader that panicked has shown its panic.
            let _ = reader.join();
        }
        if !status.success() {
            let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            let tail: Vec<&str> = tail.iter().map(String::as_str).collect();
            bail!("`{name}` failed ({status}):\n{}", tail.join("\n"));
        }
        Ok(())
    }

    fn follow(
        &self,
        output: impl Read + Send + 'static,
        tail: &Arc<Mutex<VecDeque<String>>>,
    ) -> std::thread::JoinHandle<()> {
        let (progress, tail) = (self.clone(), Arc::clone(tail));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                progress.say(&line);
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
        })
    }
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default();
    let words = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program.to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Does a step with a spinner beside it, and says how long it took.
///
/// # Errors
/// The step's own.
pub fn step<T>(
    label: &str,
    work: impl FnOnce(&Progress) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    let bar = ProgressBar::new_spinner().with_prefix(label.to_owned());
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    let result = work(&Progress {
        bar: Some(bar.clone()),
    });
    bar.finish_and_clear();
    let mark = if result.is_ok() { "✓" } else { "✗" };
    println!("{mark} {label} ({:.1} s)", started.elapsed().as_secs_f32());
    result
}
