//! Requests that wait at the same moment share one statement and one commit.
//!
//! While the database works on one batch the next one gathers, so that under load it is asked once for many, and a lone request
//! never waits for company. Everybody is answered only after the commit that holds what they asked for.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Error, Result, is_passing, was_rolled_back};
use crate::clock::monotonic_millis;

/// No more requests than this share a statement.
const BATCH: usize = 256;
/// No more than this wait in a queue; the next ones are told to come back.
const WAITING: usize = 4_096;
/// Whoever has waited longer for the batches before his own, in milliseconds, is told so rather than asked for: with [`PATIENCE`] it
/// stays below two seconds.
const LATE: u64 = if cfg!(test) { 70 } else { 700 };
/// How often a batch is tried again that the database rolled back because of another one.
const TRIES: usize = 3;
/// A batch takes no longer, its tries included: a connection that has died without a word, or a row that somebody holds, must not keep
/// everybody behind it waiting for ever.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1_100 });

/// A queue of requests of one kind. Clones share it.
pub(super) struct Queue<Q, A>(mpsc::Sender<Waiting<Q, A>>);

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A>>,
    since: u64,
}

impl<Q, A> Clone for Queue<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q, A> fmt::Debug for Queue<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Queue<Q, A> {
    /// A queue whose batches are asked by `ask`, which answers in their order. Its task ends with the last clone.
    pub(super) fn new<F>(ask: impl Fn(Arc<[Q]>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(work(receiver, ask));
        Self(sender)
    }

    /// Waits for the answer to one question. Without one in time nobody knows whether what was asked for has happened or will.
    pub(super) async fn ask(&self, question: Q) -> Result<A> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { question, answer, since: monotonic_millis() };
        self.0.try_send(waiting).map_err(|_| Error::PoolTimedOut)?;
        answered.await.map_err(|_| Error::WorkerCrashed)?
    }
}

async fn work<Q: Clone + Send + Sync + 'static, A: Send + 'static, F>(
    mut receiver: mpsc::Receiver<Waiting<Q, A>>,
    ask: impl Fn(Arc<[Q]>) -> F,
) where
    F: Future<Output = Result<Vec<A>>> + Send + 'static,
{
    let mut gathered = Vec::new();
    while receiver.recv_many(&mut gathered, BATCH).await > 0 {
        let now = monotonic_millis();
        let (mut questions, mut answers) = (Vec::with_capacity(gathered.len()), Vec::with_capacity(gathered.len()));
        for Waiting { question, answer, since } in gathered.drain(..) {
            if now.saturating_sub(since) > LATE {
                let _ = answer.send(Err(Error::PoolTimedOut));
            } else if !answer.is_closed() {
                // Whoever has gone meanwhile is not waited for.
                questions.push(question);
                answers.push(Some(answer));
            }
        }
        if questions.is_empty() {
            continue;
        }
        let in_time = timeout(PATIENCE, answer_all(&ask, &questions.into(), &mut answers)).await;
        if in_time.is_err() {
            for answer in answers.iter_mut().filter_map(Option::take) {
                let _ = answer.send(Err(Error::PoolTimedOut));
            }
        }
    }
}

async fn answer_all<Q: Clone, A, F>(
    ask: &impl Fn(Arc<[Q]>) -> F,
    questions: &Arc<[Q]>,
    answers: &mut [Option<oneshot::Sender<Result<A>>>],
) where
    F: Future<Output = Result<Vec<A>>>,
{
    let tell = |answer: &mut Option<oneshot::Sender<_>>, answered| answer.take().map(|answer| answer.send(answered));
    match tried(ask, questions).await {
        Ok(found) => {
            for (answer, found) in answers.iter_mut().zip(found) {
                tell(answer, Ok(found));
            }
        }
        // What ails one question must not ail those beside it.
        Err(error) if questions.len() > 1 && !is_passing(&error) => {
            for (answer, question) in answers.iter_mut().zip(questions.iter()) {
                let alone = tried(ask, &Arc::from([question.clone()])).await;
                tell(answer, alone.and_then(|mut found| found.pop().ok_or(Error::RowNotFound)));
            }
        }
        Err(error) => {
            for answer in answers {
                tell(answer, Err(again(&error)));
            }
        }
    }
}

/// Asks, and asks again where the database chose this batch to end a deadlock. A panic ends the batch, not the queue.
async fn tried<Q, A, F>(ask: &impl Fn(Arc<[Q]>) -> F, questions: &Arc<[Q]>) -> Result<Vec<A>>
where
    F: Future<Output = Result<Vec<A>>>,
{
    let mut tries = 1;
    loop {
        let asked = AssertUnwindSafe(ask(Arc::clone(questions))).catch_unwind();
        match asked.await.unwrap_or(Err(Error::WorkerCrashed)) {
            Err(error) if tries < TRIES && was_rolled_back(&error) => tries += 1,
            answered => return answered,
        }
    }
}

/// The same failure for the next in line.
fn again(error: &Error) -> Error {
    if is_passing(error) { Error::Io(io::Error::other(error.to_string())) } else { Error::Protocol(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn what_waits_together_is_asked_together_and_answered_in_order() {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&batches);
        let queue = Queue::new(move |questions: Arc<[u32]>| {
            seen.lock().unwrap().push(questions.len());
            async move { Ok(questions.iter().map(|n| n * 2).collect()) }
        });
        let asked: Vec<_> = (0..100).map(|n| (n, queue.clone())).collect();
        let tasks: Vec<_> =
            asked.into_iter().map(|(n, queue)| tokio::spawn(async move { queue.ask(n).await })).collect();
        for (n, task) in (0..100).zip(tasks) {
            assert_eq!(task.await.unwrap().unwrap(), n * 2);
        }
        let batches = batches.lock().unwrap();
        assert!(batches.len() < 100 && batches.iter().sum::<usize>() == 100, "{batches:?}");
    }

    #[tokio::test]
    async fn one_bad_question_fails_alone_and_a_panic_ends_its_batch_only() {
        let queue = Queue::new(|questions: Arc<[u32]>| async move {
            assert!(!questions.contains(&99), "a question that nobody expected");
            if questions.contains(&7) { Err(Error::RowNotFound) } else { Ok(questions.to_vec()) }
        });
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.ask(n).await })
            })
            .collect();
        for (n, task) in (0..10).zip(tasks) {
            assert_eq!(task.await.unwrap().is_ok(), n != 7);
        }
        assert!(queue.ask(99).await.is_err());
        assert_eq!(queue.ask(3).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_batch_that_never_ends_is_given_up_and_the_next_one_asked() {
        let queue = Queue::new(|questions: Arc<[u32]>| async move {
            if questions.contains(&7) { std::future::pending().await } else { Ok(questions.to_vec()) }
        });
        let stuck = queue.ask(7).await;
        assert!(stuck.as_ref().is_err_and(is_passing), "{stuck:?}");
        assert_eq!(queue.ask(3).await.unwrap(), 3);
    }
}
