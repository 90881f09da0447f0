use ringfile::*;
#[test]
fn threads() {
    for claim in [Claim::Ordered, Claim::Ticketed] {
        let q = Queue::options()
            .capacity(8192)
            .claim(claim)
            .in_memory()
            .unwrap();
        let mut hs = vec![];
        for t in 0..3u64 {
            let mut p = q.producer().unwrap();
            hs.push(std::thread::spawn(move || {
                for i in 0..100000u64 {
                    let mut m = vec![0u8; (i % 300) as usize + 16];
                    m[..8].copy_from_slice(&t.to_le_bytes());
                    m[8..16].copy_from_slice(&i.to_le_bytes());
                    p.push(&m).unwrap();
                }
            }));
        }
        let mut cs = vec![];
        for _ in 0..3 {
            let mut c = q.consumer().unwrap();
            cs.push(std::thread::spawn(move || {
                c.iter()
                    .map(|m| {
                        assert_eq!(
                            m.len() as u64,
                            u64::from_le_bytes(m[8..16].try_into().unwrap()) % 300 + 16
                        );
                        u64::from_le_bytes(m[8..16].try_into().unwrap())
                    })
                    .collect::<Vec<_>>()
            }));
        }
        for h in hs {
            h.join().unwrap();
        }
        q.close();
        let all: Vec<u64> = cs.into_iter().flat_map(|c| c.join().unwrap()).collect();
        assert_eq!(all.len(), 300000);
        assert_eq!(all.iter().sum::<u64>(), 3 * (99999 * 100000 / 2));
        println!("{:?}", q.stats());
    }
}
#[test]
fn file() {
    let path = std::env::temp_dir().join("smoke.ring");
    let _ = std::fs::remove_file(&path);
    let q = Queue::options().capacity(8192).open(&path).unwrap();
    assert!(q.is_new());
    q.producer().unwrap().push(b"x").unwrap();
    drop(q);
    let q = Queue::open(&path).unwrap();
    assert!(!q.is_new());
    assert_eq!(q.len(), 1);
    assert_eq!(q.consumer().unwrap().pop().unwrap(), b"x");
    assert!(q.verify().is_sound());
}
