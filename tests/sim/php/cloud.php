<?php
// A cloud of another kind than the stand-in: sessions that expire, numbers for ids, forms alone, errors under status 200,
// no idempotency keys, and a 500 without its database. Nothing here knows of MegaMind.
//
//   CLOUD_DIR=/some/folder php -S 127.0.0.1:8000 cloud.php
//
// The folder holds `orders.json` (the database: move it away and it is gone), `sessions.json` (delete it, and everybody has
// to log in again) and `effects.jsonl`, a line for every write that was applied.

declare(strict_types=1);

const FIRST_ORDER = 1001;
const NEXT = [
    'NEW' => ['ACCEPTED', 'AT_SHOP', 'COLLECTED', 'DONE', 'FAILED', 'VOID'],
    'ACCEPTED' => ['AT_SHOP', 'COLLECTED', 'DONE', 'FAILED', 'VOID'],
    'AT_SHOP' => ['COLLECTED', 'DONE', 'FAILED', 'VOID'],
    'COLLECTED' => ['AT_DOOR', 'DONE', 'FAILED'],
    'AT_DOOR' => ['DONE', 'FAILED'],
];

$folder = getenv('CLOUD_DIR') ?: '.';
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

if ($path === '/ping.php') {
    // A page that stays green whatever happens behind it.
    header('Content-Type: text/plain');
    echo "pong\n";
    return true;
}

// One request at a time, as far as files go.
$lock = fopen("$folder/lock", 'c');
flock($lock, LOCK_EX);
answer(...serve($folder, $path));
return true;

/** @return array{int, array<string, mixed>} The status and the body of the answer. */
function serve(string $folder, string $path): array
{
    if ($path === '/login.php') {
        return login($folder);
    }
    $pages = ['/order_new.php', '/order_get.php', '/order_change.php', '/order_void.php', '/order_find.php',
        '/rider_place.php', '/rider_event.php'];
    if (!in_array($path, $pages, true)) {
        return [404, []];
    }
    $file = "$folder/orders.json";
    if (!is_file($file)) {
        return [500, []];
    }
    $user = user($folder);
    if ($user === null) {
        return [401, refusal('NO_SESSION', 'Please log in.')];
    }
    $db = json_decode(file_get_contents($file), true, 16, JSON_THROW_ON_ERROR);
    $in = $_POST + $_GET;
    [$result, $effect] = match ($path) {
        '/order_new.php' => placed($db, $in),
        '/order_get.php' => [shown($db, $in), null],
        '/order_find.php' => [found($db, $in), null],
        '/order_change.php' => changed($db, $in),
        '/order_void.php' => moved($db, $in, 'VOID'),
        '/rider_event.php' => moved($db, $in, (string) ($in['state'] ?? '')),
        '/rider_place.php' => [['rider_id' => $in['rider_id'] ?? null], 'place'],
    };
    if (is_string($result)) {
        // This cloud says so under 200.
        return [200, refusal($result, 'That is not possible.')];
    }
    if ($effect !== null) {
        $line = ['effect' => $effect, 'path' => $path, 'user' => $user, 'order_id' => $result['order_id'] ?? null,
            'in' => $in, 'replay' => $_SERVER['HTTP_X_MEGAMIND_REPLAY'] ?? null];
        file_put_contents("$folder/effects.jsonl", json_encode($line) . "\n", FILE_APPEND);
        file_put_contents("$file.new", json_encode($db));
        rename("$file.new", $file);
    }
    return [200, ['ok' => 1, 'result' => $result]];
}

/** @return array{int, array<string, mixed>} */
function login(string $folder): array
{
    $user = (string) ($_POST['user'] ?? '');
    if ($user === '' || ($_POST['password'] ?? '') !== "secret of $user") {
        return [200, refusal('BAD_LOGIN', 'Unknown user or wrong password.')];
    }
    $sessions = sessions($folder);
    $id = bin2hex(random_bytes(16));
    $sessions[$id] = $user;
    file_put_contents("$folder/sessions.json", json_encode($sessions));
    header("Set-Cookie: PHPSESSID=$id; Path=/; HttpOnly");
    return [200, ['ok' => 1, 'result' => ['user' => $user]]];
}

function user(string $folder): ?string
{
    return sessions($folder)[(string) ($_COOKIE['PHPSESSID'] ?? '')] ?? null;
}

/** @return array<string, string> Users by session. */
function sessions(string $folder): array
{
    $file = "$folder/sessions.json";
    return is_file($file) ? json_decode(file_get_contents($file), true) : [];
}

function placed(array &$db, array $in): array
{
    foreach (['merchant_id', 'pickup', 'dropoff'] as $name) {
        if (empty($in[$name])) {
            return ["MISSING_$name", null];
        }
    }
    $id = FIRST_ORDER + count($db);
    $db[$id] = ['order_id' => $id, 'state' => 'NEW', 'rider_id' => null, 'merchant_id' => $in['merchant_id'],
        'reference' => $in['reference'] ?? null];
    return [['order_id' => $id, 'state' => 'NEW'], 'placed'];
}

function shown(array $db, array $in): array|string
{
    return $db[$in['order_id'] ?? ''] ?? 'NO_SUCH_ORDER';
}

function found(array $db, array $in): array
{
    $is_it = fn(array $order): bool => $order['merchant_id'] === ($in['merchant_id'] ?? '')
        && $order['reference'] !== null && $order['reference'] === ($in['reference'] ?? null);
    return ['orders' => array_values(array_filter($db, $is_it))];
}

function changed(array &$db, array $in): array
{
    $order = shown($db, $in);
    if (is_string($order) || !isset(NEXT[$order['state']]) || !in_array('VOID', NEXT[$order['state']], true)) {
        return [is_string($order) ? $order : 'TOO_LATE', null];
    }
    return [$order, 'changed'];
}

function moved(array &$db, array $in, string $state): array
{
    $order = shown($db, $in);
    if (is_string($order) || !in_array($state, NEXT[$order['state']] ?? [], true)) {
        return [is_string($order) ? $order : 'NOT_NOW', null];
    }
    $order['state'] = $state;
    $order['rider_id'] = $in['rider_id'] ?? $order['rider_id'];
    $db[$order['order_id']] = $order;
    return [$order, $state];
}

/** @return array<string, mixed> */
function refusal(string $code, string $message): array
{
    return ['ok' => 0, 'error_code' => $code, 'error' => $message];
}

function answer(int $status, array $body): void
{
    http_response_code($status);
    if ($body === []) {
        header('Content-Type: text/html; charset=utf-8');
        echo $status === 500 ? "<br />\n<b>Fatal error</b>: Uncaught PDOException: no database\n" : "<h1>$status</h1>\n";
        return;
    }
    header('Content-Type: application/json; charset=utf-8');
    echo json_encode($body);
}
