-- Sample users for development and tests. Loading them again changes nothing.
INSERT INTO users (name, email) VALUES
    ('Ada Lovelace', 'ada@example.com'),
    ('Alan Turing', 'alan@example.com'),
    ('Annie Easley', 'annie@example.com'),
    ('Barbara Liskov', 'barbara@example.com'),
    ('Claude Shannon', 'claude@example.com'),
    ('Dennis Ritchie', 'dennis@example.com'),
    ('Donald Knuth', 'donald@example.com'),
    ('Dorothy Vaughan', 'dorothy@example.com'),
    ('Edsger Dijkstra', 'edsger@example.com'),
    ('Frances Allen', 'frances@example.com'),
    ('Grace Hopper', 'grace@example.com'),
    ('Hedy Lamarr', 'hedy@example.com'),
    ('Jean Bartik', 'jean@example.com'),
    ('John von Neumann', 'john@example.com'),
    ('Katherine Johnson', 'katherine@example.com'),
    ('Ken Thompson', 'ken@example.com'),
    ('Konrad Zuse', 'konrad@example.com'),
    ('Margaret Hamilton', 'margaret@example.com'),
    ('Radia Perlman', 'radia@example.com'),
    ('Tony Hoare', 'tony@example.com')
ON CONFLICT DO NOTHING;
