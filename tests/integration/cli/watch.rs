//! A command that goes on until it is dropped.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::harness::PATIENCE;

/// A command that goes on, and its standard output.
pub(super) struct Watch {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    /// The next line that has all of these words.
    pub(super) async fn until(&mut self, words: &[&str]) -> String {
        let found = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("the watch goes on");
                if words.iter().all(|word| line.contains(word)) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line has {words:?}"))
    }
}
