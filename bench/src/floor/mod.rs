//! stub
#[derive(clap::Args, Debug)]
pub(crate) struct FloorArgs {}
pub(crate) async fn run(_: FloorArgs) -> crate::Result<()> { Ok(()) }
