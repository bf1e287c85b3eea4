//! A server within the process of a Rust test: the one that `countersign dev` starts, on a free port, in a few milliseconds.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use countersign::testing::Server;
//!
//! let server = Server::start().await?;
//! // `web-app` / `client-secret`, alice and bob are there; the control API is below `/dev` (docs/dev-api.md).
//! let issuer = server.issuer();
//! assert!(issuer.starts_with("http://localhost:"));
//! // An hour later every token of the hour before has expired.
//! server.clock().advance(3_600);
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Each server has keys, clients, users, a clock and a store of its own, in memory, and goes when it is stopped. To begin with other
//! resources, give a bundle:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use countersign::testing::Server;
//! let bundle = "
//! - resourceType: Client
//!   id: my-service
//!   secret: my-secret
//!   grant_types: [client_credentials]
//! ";
//! let server = Server::with_bundle(bundle).await?;
//! # server.stop().await;
//! # Ok(())
//! # }
//! ```

use crate::clock::Clock;
use crate::config::Settings;
use crate::realm;
use crate::resources::bundle;
use crate::server::{Instance, StartError};

/// A running server. See the module.
#[derive(Debug)]
pub struct Server(Instance);

impl Server {
    /// Starts one that holds what `countersign dev` begins with.
    pub async fn start() -> Result<Self, StartError> {
        Self::with_bundle("").await
    }

    /// Starts one that holds the resources of a bundle (YAML or JSON) besides.
    pub async fn with_bundle(text: &str) -> Result<Self, StartError> {
        let mut settings = Settings::dev_defaults();
        settings.listen.set_port(0);
        let instance = Instance::start(settings, Clock::default()).await?;
        let server = Self(instance);
        let (mut items, mut problems) = (Vec::new(), Vec::new());
        if !text.trim().is_empty() {
            bundle::parse(
                "bundle",
                text,
                text.trim_start().starts_with(['[', '{']),
                &|_| None,
                &mut items,
                &mut problems,
            );
        }
        let applied = match problems.is_empty() {
            true => server.0.apply(&items).await,
            false => Err(realm::Error::Bundle(problems)),
        };
        match applied {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop().await;
                Err(error.into())
            }
        }
    }

    /// The issuer identifier, the base of every URL.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Its clock: set it, freeze it, advance it.
    pub const fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Ends it. Dropped without this, it goes on until its runtime ends.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
