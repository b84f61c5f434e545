//! Running a program to its end.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt as _, process::Command};

/// What a program said, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    /// The exit code; -1 when a signal ended the program.
    pub code: i32,
}

impl Output {
    /// Standard output, when the program succeeded; otherwise the test fails with what it said.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.code == 0, "exit code {}\n{}{}", self.code, self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error, when the program failed; otherwise the test fails with what it said.
    #[track_caller]
    pub fn failure(self) -> String {
        assert!(self.code != 0, "succeeded, against expectation:\n{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// Runs `command` with `input` as its standard input.
pub async fn run(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let write = async {
        // A program that does not read its input may have ended before it took it all.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output.unwrap();
    Output {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}
