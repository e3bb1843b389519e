<?php
// The same for everybody: caches may keep it for ten minutes, Weir's kernel cache among them.
declare(strict_types=1);
require __DIR__ . '/lib.php';

header('Cache-Control: public, max-age=600');
page('About', '<h1>About</h1><p id="made">Made at ' . date('H:i:s') . ' by PHP ' . PHP_VERSION .
	'. It keeps notes and files, and exists to show PHP behind Weir.</p>');
