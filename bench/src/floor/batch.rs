//! Coalescing: whatever waits at the same moment goes to the database as one statement and one commit, and each gets its answer
//! after that commit.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

use crate::Result;

/// The most that share one statement.
const MOST: usize = 256;

/// Work that is done for many at once.
pub(super) trait Batch: Send + 'static {
    /// What one asks.
    type In: Send + 'static;
    /// What it gets.
    type Out: Send + 'static;

    /// Answers all, in their order.
    fn run(&mut self, asked: Vec<Self::In>) -> impl Future<Output = Result<Vec<Self::Out>>> + Send;
}

type Waiting<I, O> = (I, oneshot::Sender<O>);

/// The end of a queue at which requests wait.
#[derive(Debug)]
pub(super) struct Queue<I, O>(mpsc::Sender<Waiting<I, O>>);

impl<I: Send + 'static, O: Send + 'static> Queue<I, O> {
    /// Starts the one task at the other end.
    pub(super) fn start<B: Batch<In = I, Out = O>>(mut batch: B) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Waiting<I, O>>(4 * MOST);
        tokio::spawn(async move {
            let mut waiting = Vec::with_capacity(MOST);
            while receiver.recv_many(&mut waiting, MOST).await > 0 {
                let (asked, answers): (Vec<I>, Vec<oneshot::Sender<O>>) = waiting.drain(..).unzip();
                match batch.run(asked).await {
                    Ok(given) => {
                        for (answer, one) in answers.into_iter().zip(given) {
                            // Nobody waits any more where the connection was closed.
                            let _ = answer.send(one);
                        }
                    }
                    // Dropping the senders tells all who wait.
                    Err(error) => crate::report::say(&format!("floor: {error}")),
                }
            }
        });
        Self(sender)
    }

    /// Waits for the answer.
    pub(super) async fn ask(&self, asked: I) -> Result<O> {
        let (answer, answered) = oneshot::channel();
        self.0.send((asked, answer)).await.map_err(|_| "the queue has ended")?;
        Ok(answered.await.map_err(|_| "the statement failed")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each number with the size of its batch; fails where there is a zero.
    struct Sizes;

    impl Batch for Sizes {
        type In = usize;
        type Out = (usize, usize);

        async fn run(&mut self, asked: Vec<usize>) -> Result<Vec<(usize, usize)>> {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            if asked.contains(&0) {
                return Err("zero".into());
            }
            Ok(asked.iter().map(|one| (*one, asked.len())).collect())
        }
    }

    #[tokio::test]
    async fn those_that_wait_together_are_answered_together_and_each_with_its_own() {
        let queue = std::sync::Arc::new(Queue::start(Sizes));
        let mut tasks = Vec::new();
        for number in 1..=300 {
            let queue = std::sync::Arc::clone(&queue);
            tasks.push(tokio::spawn(async move { (number, queue.ask(number).await.unwrap()) }));
        }
        let mut largest = 0;
        for task in tasks {
            let (asked, (answered, size)) = task.await.unwrap();
            assert_eq!(asked, answered);
            largest = largest.max(size);
        }
        assert!((100..=MOST).contains(&largest), "{largest}");
        assert!(queue.ask(0).await.is_err(), "a failure is told");
        assert_eq!(queue.ask(1).await.unwrap(), (1, 1), "and is no end");
    }
}
