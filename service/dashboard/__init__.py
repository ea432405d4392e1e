"""What people look at: pages made of the views, on the server, and what makes them live in the browser."""
