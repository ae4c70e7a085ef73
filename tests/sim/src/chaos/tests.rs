use super::*;

/// Says back what it hears.
async fn parrot() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Ok(addr)
}

async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).await?;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

#[tokio::test]
async fn what_passes_passes_unchanged() -> std::io::Result<()> {
    let proxy = Proxy::start(parrot().await?).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(say(&mut stream, "hello").await?, "hello");
    proxy.set(Chaos::Delay(Duration::from_millis(1)));
    assert_eq!(say(&mut stream, "later").await?, "later");
    assert_eq!(proxy.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn swallowed_answers_leave_the_connection_open() -> std::io::Result<()> {
    let proxy = Proxy::start(parrot().await?).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    proxy.set(Chaos::SwallowReplies);
    stream.write_all(b"lost").await?;
    while proxy.swallowed() < 4 {
        tokio::task::yield_now().await;
    }
    proxy.set(Chaos::Pass);
    assert_eq!(say(&mut stream, "heard").await?, "heard");
    Ok(())
}

#[tokio::test]
async fn an_answer_is_cut_after_so_many_bytes() -> std::io::Result<()> {
    let proxy = Proxy::start(parrot().await?).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(say(&mut stream, "before").await?, "before");
    proxy.set(Chaos::CutAfter(3));
    stream.write_all(b"abcdef").await?;
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await?;
    assert_eq!(rest, "abc");
    Ok(())
}

#[tokio::test]
async fn refusing_closes_open_and_new_connections() -> std::io::Result<()> {
    let proxy = Proxy::start(parrot().await?).await?;
    let mut stream = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(say(&mut stream, "hello").await?, "hello");
    proxy.set(Chaos::Refuse);
    assert_eq!(stream.read(&mut [0; 8]).await?, 0);
    let mut another = TcpStream::connect(proxy.addr()).await?;
    assert!(say(&mut another, "anybody?").await.is_err());
    proxy.set(Chaos::Pass);
    let mut third = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(say(&mut third, "again").await?, "again");
    Ok(())
}
