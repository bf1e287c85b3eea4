//! How many requests there are to others at once, in all and to one host: whoever waits for a slow server keeps a request of ours
//! waiting, and must not keep all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that are sent at once.
const AT_ONCE: usize = 64;
const TO_ONE_HOST: usize = 8;
/// With those that wait for that.
const MOST: usize = 128;
const MOST_TO_ONE_HOST: usize = 32;

/// The room that there is. Clones share it.
#[derive(Clone)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    present: Arc<Mutex<Present>>,
}

/// Who is there, waiting or not.
#[derive(Default)]
struct Present {
    all: usize,
    hosts: HashMap<String, Host>,
}

struct Host {
    room: Arc<Semaphore>,
    present: usize,
}

/// A place in it, until it is dropped.
pub(super) struct Place {
    room: Room,
    host: String,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Default for Room {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), present: Arc::default() }
    }
}

impl Room {
    /// Waits for a place for a request to this host; `None` where too many wait already.
    pub(super) async fn place(&self, host: &str) -> Option<Place> {
        let of_host = self.enter(host)?;
        let mut place = Place { room: self.clone(), host: host.to_owned(), permits: None };
        // The host's first, so that those who wait for it take up no room of others. Neither is ever closed.
        let of_host = of_host.acquire_owned().await.ok()?;
        place.permits = Some((of_host, Arc::clone(&self.all).acquire_owned().await.ok()?));
        Some(place)
    }

    fn enter(&self, host: &str) -> Option<Arc<Semaphore>> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let to_host = present.hosts.get(host).map_or(0, |host| host.present);
        if present.all >= MOST || to_host >= MOST_TO_ONE_HOST {
            return None;
        }
        present.all += 1;
        let new = || Host { room: Arc::new(Semaphore::new(TO_ONE_HOST)), present: 0 };
        let host = present.hosts.entry(host.to_owned()).or_insert_with(new);
        host.present += 1;
        Some(Arc::clone(&host.room))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permits = None;
        let mut present = self.room.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.all -= 1;
        if let Some(host) = present.hosts.get_mut(&self.host) {
            host.present -= 1;
            if host.present == 0 {
                present.hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_slow_host_keeps_a_few_waiting_and_the_others_none() {
        let room = Room::default();
        let mut slow: Vec<_> = (0..MOST_TO_ONE_HOST).map(|_| Box::pin(room.place("slow"))).collect();
        let placed: Vec<_> = slow.iter_mut().filter_map(|place| place.now_or_never().flatten()).collect();
        assert_eq!(placed.len(), TO_ONE_HOST);
        assert!(room.place("slow").now_or_never().is_some_and(|place| place.is_none()), "no more may wait");
        assert!(room.place("other").now_or_never().flatten().is_some());
        drop(placed);
        slow.truncate(TO_ONE_HOST);
        assert!(room.place("slow").now_or_never().flatten().is_some());
        drop(slow);
        let left = room.present.lock().unwrap();
        assert_eq!((left.all, left.hosts.len()), (0, 0), "nothing is kept of who is gone");
    }
}
