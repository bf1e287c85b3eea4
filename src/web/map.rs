//! A map of URLs in which every route says what it is for: an axum [`Router`], and beside it the descriptions of its operations.
//!
//! There is no way to a route but through here, so that what is served and the OpenAPI document cannot drift apart.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use crate::openapi::{Describe, Document};

/// Routes, and what they are for.
pub(crate) struct Map<S = ()> {
    router: Router<S>,
    described: Vec<Described>,
}

/// The paths of a route, the canonical one first, and its operations.
struct Described {
    paths: Vec<&'static str>,
    operations: Operations,
}

enum Operations {
    /// By method.
    Each(Vec<(&'static str, Describe)>),
    /// Those of a route for many kinds, which names them itself.
    Kinds(fn(&mut Document)),
}

/// The handlers of a path by method, and what each does.
#[derive(Clone)]
pub(crate) struct Methods<S> {
    router: MethodRouter<S>,
    described: Vec<(&'static str, Describe)>,
}

impl<S: Clone + Send + Sync + 'static> Map<S> {
    /// No routes.
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), described: Vec::new() }
    }

    /// A route. An alias is the same in everything; the first path is the canonical one.
    pub(crate) fn route(self, paths: impl IntoIterator<Item = &'static str>, methods: Methods<S>) -> Self {
        self.with(paths.into_iter().collect(), &methods.router, Operations::Each(methods.described))
    }

    /// A route that stands for paths of many kinds, each with operations of its own.
    pub(crate) fn kinds<const N: usize>(
        self,
        paths: [&'static str; N],
        methods: &MethodRouter<S>,
        describe: fn(&mut Document),
    ) -> Self {
        self.with(paths.into(), methods, Operations::Kinds(describe))
    }

    fn with(mut self, paths: Vec<&'static str>, methods: &MethodRouter<S>, operations: Operations) -> Self {
        for path in &paths {
            self.router = self.router.route(path, methods.clone());
        }
        self.described.push(Described { paths, operations });
        self
    }

    /// With the routes of another.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    /// What answers.
    pub(crate) fn into_router(self) -> Router<S> {
        self.router
    }

    /// Describes every operation.
    pub(crate) fn describe(&self, document: &mut Document) {
        for Described { paths, operations } in &self.described {
            match (operations, &paths[..]) {
                (Operations::Kinds(describe), _) => describe(document),
                (Operations::Each(operations), [canonical, aliases @ ..]) => {
                    let aliases: Vec<String> = aliases.iter().map(|alias| (*alias).to_owned()).collect();
                    for (method, describe) in operations {
                        document.add(canonical, &aliases, method, *describe);
                    }
                }
                (Operations::Each(_), []) => {}
            }
        }
    }
}

/// Defines, for a method, how a list of handlers begins with it and how it goes on.
macro_rules! methods {
    ($($first:ident)*, then $($method:ident)*) => {
        $(
            #[doc = concat!("Begins with `", stringify!($first), "`.")]
            pub(crate) fn $first<H, T, S>(handler: H, describe: Describe) -> Methods<S>
            where
                H: Handler<T, S>,
                T: 'static,
                S: Clone + Send + Sync + 'static,
            {
                Methods { router: routing::$first(handler), described: vec![(stringify!($first), describe)] }
            }
        )*

        impl<S: Clone + Send + Sync + 'static> Methods<S> {
            $(
                #[doc = concat!("Goes on with `", stringify!($method), "`.")]
                pub(crate) fn $method<H, T>(mut self, handler: H, describe: Describe) -> Self
                where
                    H: Handler<T, S>,
                    T: 'static,
                {
                    self.router = self.router.$method(handler);
                    self.described.push((stringify!($method), describe));
                    self
                }
            )*

            /// With what no program asks for by itself: `OPTIONS` of browsers, a `HEAD` that differs from `GET`.
            pub(crate) fn besides(mut self, add: impl FnOnce(MethodRouter<S>) -> MethodRouter<S>) -> Self {
                self.router = add(self.router);
                self
            }
        }
    };
}

methods! { get post delete, then post put delete }
