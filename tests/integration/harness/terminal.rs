//! A program on a pseudo-terminal, with a person who types.

use std::process::Stdio;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{PATIENCE, command::Output, controller::PLUGIN};

/// What Ctrl-C sends to a terminal.
const CTRL_C: &str = "\u{3}";

/// A line of the shell in a pseudo-terminal, by `script` of util-linux. It ends with the exit code of the line.
///
/// A test run in the background inherits that Ctrl-C is ignored. A person at a terminal has it.
pub fn command(line: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", "script", "-qfec", line, "/dev/null"]);
    command
}

/// `kubectl-tenantpricing` in a terminal of this many columns. Its arguments are plain words.
pub fn on_a_terminal(arguments: &[&str], columns: u32) -> Command {
    let arguments = arguments.join(" ");
    let mut command = command(&format!("stty cols {columns} rows 40; exec {PLUGIN} {arguments}"));
    command.env_remove("_").env("TERM", "xterm-256color");
    command
}

/// A program on a pseudo-terminal. It ends at the latest when this is dropped.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    /// Starts a command of [`command`].
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Waits until the screen has shown this text.
    pub async fn until(&mut self, text: &str) -> &str {
        while !self.shown.contains(text) {
            assert!(self.read().await, "the program ended before it showed {text:?}:\n{}", self.shown);
        }
        &self.shown
    }

    /// Types a line, and presses Enter.
    pub async fn enter(&mut self, line: &str) {
        self.press(&format!("{line}\n")).await;
    }

    /// Presses Ctrl-C.
    pub async fn interrupt(&mut self) {
        self.press(CTRL_C).await;
    }

    async fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
        self.keyboard.flush().await.unwrap();
    }

    /// What was shown, and the exit code, when the program has ended. A terminal has one screen, so all stands in
    /// `stdout`.
    pub async fn end(mut self) -> Output {
        while self.read().await {}
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let code = ended.expect("the program ends").unwrap().code().unwrap_or(-1);
        Output { stdout: self.shown, stderr: String::new(), code }
    }

    /// Reads what is shown next. False at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.screen.read(&mut bytes)).await;
        let count = read.unwrap_or_else(|_| panic!("nothing more is shown:\n{}", self.shown)).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }
}
