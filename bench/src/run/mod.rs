//! stub
#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {}
pub(crate) async fn run(_: RunArgs) -> crate::Result<()> { Ok(()) }
