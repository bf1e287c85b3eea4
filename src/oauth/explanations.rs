//! Explanations of refusals, kept for whoever asks with a request's id.
//!
//! They wait in a bounded queue and are written in the background, so that no answer waits for them; what finds the queue full, or
//! comes after so many in a minute, is dropped and counted: an attacker fills neither memory nor disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use super::explanation::{Explanation, Told};
use crate::clock::monotonic_millis;
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::store::explanations::Row;
use crate::store::{Json, Store};

/// So many may wait to be written, and so many are written together.
const QUEUE: usize = 256;
const BATCH: usize = 64;
/// No more are kept of a minute, by each node.
const A_MINUTE: usize = 120;

/// A refusal as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Refusal")]
pub struct Record {
    /// The id of the request.
    pub request_id: String,
    /// When it was answered.
    pub at: Timestamp,
    /// `POST`
    pub method: String,
    /// The path.
    pub endpoint: Told,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The error code.
    pub error: String,
    /// What the caller was told.
    pub description: String,
    /// What the caller was not told.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// Keeps explanations. Clones share a queue.
#[derive(Clone, Debug)]
pub struct Explanations {
    store: Store,
    queue: mpsc::Sender<Record>,
    dropped: Arc<AtomicU64>,
    writer: Arc<Mutex<Writer>>,
}

/// What takes them from the queue.
#[derive(Debug)]
struct Writer {
    queue: mpsc::Receiver<Record>,
    batch: Vec<Record>,
    minute: u64,
    written: usize,
}

impl Explanations {
    /// Over a store.
    pub fn new(store: Store) -> Self {
        let (queue, rest) = mpsc::channel(QUEUE);
        let writer = Arc::new(Mutex::new(Writer { queue: rest, batch: Vec::new(), minute: 0, written: 0 }));
        Self { store, queue, dropped: Arc::default(), writer }
    }

    /// Has one kept, unless there are too many.
    pub fn keep(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what comes, without an end; what is being written when it is interrupted is left for [`Self::write_rest`].
    pub async fn write(&self) {
        let mut writer = self.writer.lock().await;
        loop {
            let Writer { queue, batch, .. } = &mut *writer;
            if queue.recv_many(batch, BATCH).await == 0 {
                return;
            }
            self.write_batch(&mut writer).await;
        }
    }

    /// Writes what still waits.
    pub async fn write_rest(&self) {
        let mut writer = self.writer.lock().await;
        while let Ok(record) = writer.queue.try_recv() {
            writer.batch.push(record);
        }
        self.write_batch(&mut writer).await;
    }

    async fn write_batch(&self, writer: &mut Writer) {
        let minute = monotonic_millis() / 60_000;
        if writer.minute != minute {
            (writer.minute, writer.written) = (minute, 0);
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(event = "explanations_dropped", dropped, "more refusals in a minute than are explained");
            }
        }
        let room = A_MINUTE.saturating_sub(writer.written);
        self.dropped.fetch_add(writer.batch.len().saturating_sub(room) as u64, Ordering::Relaxed);
        writer.batch.truncate(room);
        let rows: Vec<Row> = writer.batch.iter().filter_map(row).collect();
        if let Err(error) = self.store.insert_explanations(&rows).await {
            tracing::warn!(%error, explanations = rows.len(), "explanations of refusals could not be written");
        }
        writer.written += rows.len();
        writer.batch.clear();
    }

    /// The newest ones, newest first.
    pub async fn recent(&self, most: i64) -> Result<Vec<Record>, Internal> {
        Ok(self.store.recent_explanations(most).await?.into_iter().filter_map(record).collect())
    }

    /// Those of the requests whose ids begin so, newest first: 8 digits at the least, of 32. `None` where it is no such beginning.
    pub async fn find(&self, id: &str, most: i64) -> Result<Option<Vec<Record>>, Internal> {
        let Some((first, last)) = range(id) else { return Ok(None) };
        Ok(Some(self.store.explanations_between(first, last, most).await?.into_iter().filter_map(record).collect()))
    }
}

fn row(record: &Record) -> Option<Row> {
    let id = Uuid::parse_str(&record.request_id).ok()?;
    Some(Row { id, created_at: record.at, body: Json(serde_json::to_value(record).ok()?) })
}

fn record(row: Row) -> Option<Record> {
    serde_json::from_value(row.body.0).ok()
}

/// The first and the last id that begin with these digits.
fn range(id: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = id.trim().chars().filter(|c| *c != '-').collect();
    let sound = (8..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let filled = |with: &str| Uuid::parse_str(&(digits.clone() + &with.repeat(32 - digits.len()))).ok();
    if sound { filled("0").zip(filled("f")) } else { None }
}
